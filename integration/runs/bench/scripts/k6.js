// One virtual user of k6: answers one after the other, until its time is over. JSON is parsed, the number is
// checked, and the chunk is timed after the read, by the only clock that k6 has: whole milliseconds.
import ws from "k6/ws";

const body = JSON.stringify({ message: "Tell me a story." });
const streams = Number(__ENV.BENCH_STREAMS);

export const options = {
  scenarios: { chat: { executor: "per-vu-iterations", vus: streams, iterations: 1, gracefulStop: "30s" } },
};

export const setup = () => Date.now() + 1000 * Number(__ENV.BENCH_SECONDS);

export default function (until) {
  ws.connect(__ENV.BENCH_URL, null, (socket) => {
    let name, seq, arrivals;
    const ask = () => {
      [name, seq, arrivals] = ["", 0, []];
      socket.send(body);
    };
    socket.on("open", ask);
    socket.on("message", (data) => {
      const at = Date.now();
      const frame = JSON.parse(data);
      seq += 1;
      if (frame.seq !== seq) throw new Error(`${frame.seq} behind ${seq - 1}`);
      if (frame.type === "delta") arrivals.push(at);
      else if (frame.type === "started") name = frame.execution_id;
      else {
        console.log(JSON.stringify([name, arrivals]));
        if (Date.now() < until) ask();
        else socket.close();
      }
    });
  });
}
