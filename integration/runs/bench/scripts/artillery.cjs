// One virtual user of Artillery's `ws` engine: answers one after the other, until its time is over. JSON is
// parsed, the number is checked, and the chunk is timed after the read, as in every other client of the bench.
"use strict";
const { writeFileSync } = require("node:fs");

const body = JSON.stringify({ message: "Tell me a story." });
const until = Date.now() + 1000 * Number(process.env.BENCH_SECONDS);
const found = {};
let users = Number(process.env.BENCH_STREAMS);

module.exports.stream = (context, events, done) => {
  let name, seq, arrivals;
  const ask = () => {
    [name, seq, arrivals] = ["", 0, []];
    context.ws.send(body);
  };
  context.ws.on("message", (data) => {
    const at = Number(process.hrtime.bigint());
    const frame = JSON.parse(data);
    seq += 1;
    if (frame.seq !== seq) throw new Error(`${frame.seq} behind ${seq - 1}`);
    if (frame.type === "delta") arrivals.push(at);
    else if (frame.type === "started") name = frame.execution_id;
    else {
      found[name] = arrivals;
      if (Date.now() < until) return ask();
      users -= 1;
      if (users === 0) writeFileSync(process.env.BENCH_OUT, JSON.stringify(found));
      done();
    }
  });
  ask();
};
