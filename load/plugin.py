"""Joins Locust to the instrument: the only file with Locust event listeners.

One `LoadRun` at a time goes through

    state      reached by                              on leaving
    PREPARED   `init` (headless), `test_start` (web)   the target is started and answers
    LOADING    `test_start`                            users come; the window opens when all are there
    ENDED      `finish`, once                          the target is stopped, all is written and judged

Headless the target is started in `init`, since Locust counts `-t` from before `test_start`. `finish` runs
under a lock and once: `quitting` calls it headless, a greenlet after `test_stop` in the web UI, and a second
signal only waits for it. Exceptions in a listener are swallowed by Locust and would read as exit 1, so each
listener ends in `sys.exit` with a code of ours. The file is long because Locust hands all its events to one
place, and each may be that of a process alone, a master or a worker; what is done stands in the files below.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import gevent
from gevent.event import Event
from locust import events
from locust.env import Environment
from locust.runners import MasterRunner, Runner, WorkerRunner

from load import tripwire
from load.asking import Asked, ask
from load.beside import gauge, tend, watch
from load.comparing import Comparing, prepare_comparison
from load.conclude import conclude
from load.crewed import await_reports, take_part, tell_facts
from load.crowd import crowd, weigh
from load.decide import conclude_comparison
from load.distributed import LAST, PART, WINDOWS, Shift, fingerprint, windows_of
from load.errors import ExitCode, InvalidRun, LoadError, LocalFault, TargetDown, UsageError
from load.feeding import Feeding
from load.front import announce, check_port, exiting, leave, one_at_a_time
from load.loadrun import LoadRun
from load.loop import follow_streams, settle
from load.options import add_options
from load.prepare import prepare
from load.report.console import say
from load.scenarios.base import AgentUser, Session
from load.scenarios.ending import Ending
from load.scenarios.numbers import Numbers
from load.scenarios.own import Own, read_bundled_rules
from load.scenarios.paired import USERS, PairedUser
from load.scenarios.profile import DEFAULTS
from load.scenarios.stages import Stages
from load.scenarios.steps import Steps
from load.seeking import seek
from load.target.launch import free_port
from load.verdict.capacity import first_load
from load.verdict.crew import Crew
from load.verdict.search import Search
from load.worker import Worker

WATCH_S = 0.5
OF_A_COMPARISON = ("--base", "--base-app", "--base-host", "--selfcheck")
PAIRED = replace(DEFAULTS, users=USERS, spawn_rate=100, run_time="60s")
"""Of a comparison: who speaks in a block, and the load of all blocks together."""
OPEN_SPAWN_RATE = 100.0
"""In open load nobody comes with his first stream: users wait for arrivals."""
WORKERS_S = 60.0
"""So long workers are waited for; --expect-workers-max-wait says otherwise."""
NOT_PAIRED_IN_THE_WEB_UI = (
    "--base and --selfcheck: only with --headless; a comparison says itself when it ends"
)
NOT_IN_THE_WEB_UI = "--find-capacity: only with --headless; the web UI sets the users itself"
EVERYBODY_STARTS = "never_started count < 1"


def install() -> None:
    """Called by the locustfile; nothing is started before Locust's `init`."""
    follow_streams()
    plugin = Plugin()
    events.init_command_line_parser.add_listener(plugin.on_parser)
    events.init.add_listener(plugin.on_init)
    events.worker_connect.add_listener(plugin.on_worker_connect)
    events.report_to_master.add_listener(plugin.on_report_to_master)
    events.worker_report.add_listener(plugin.on_worker_report)
    events.test_start.add_listener(plugin.on_test_start)
    events.spawning_complete.add_listener(plugin.on_spawning_complete)
    events.test_stopping.add_listener(plugin.on_test_stopping)
    events.test_stop.add_listener(plugin.on_test_stop)
    events.user_error.add_listener(plugin.on_user_error)
    events.quitting.add_listener(plugin.on_quitting)


class Plugin:
    """The listeners, and the run that is going on."""

    def __init__(self) -> None:
        self.run: LoadRun | None = None
        self.worker: Worker | None = None
        self.asked: Asked
        self.weights: dict[str, float] = {}
        self.interrupted = False
        self.quitting = False
        self.feeding: Feeding | None = None
        self.comparing: Comparing | None = None
        self.began_ns = 0
        self.lock = threading.RLock()
        self.environment: Environment

    # -- listeners

    def on_parser(self, parser: ArgumentParser, **_: Any) -> None:
        paired = any(word.partition("=")[0] in OF_A_COMPARISON for word in sys.argv)
        add_options(parser, PAIRED if paired else DEFAULTS)
        parser.set_defaults(loglevel="WARNING")
        if any(word.startswith("--processes") for word in sys.argv):
            # Of their own, or the workers of a second run would come to the master of the first.
            port = free_port()
            parser.set_defaults(master_port=port, master_bind_port=port)
        parser.exit = leave  # type: ignore[method-assign]  # Locust's takes two lines for a misspelt option

    def on_init(self, environment: Environment, runner: Runner, web_ui: Any, **_: Any) -> None:
        self.environment = environment
        logging.getLogger("locust.stats_logger").disabled = True  # its tables would bury the verdict
        with exiting():
            if isinstance(runner, WorkerRunner):
                self.worker = Worker(environment, runner, self.ask)
                self.worker.begin()
                return
            options = self.ask().options
            if options.is_paired and web_ui is not None:
                raise UsageError(NOT_PAIRED_IN_THE_WEB_UI)
            if options.find_capacity and web_ui is not None:
                raise UsageError(NOT_IN_THE_WEB_UI)
            if environment.shape_class is not None:
                raise UsageError("a LoadTestShape switches off -u, -r and -t; drop it from the locustfile")
            # Locust's fails when it is called again before it has ended: by a second signal, by -t.
            runner.stop = one_at_a_time(runner.stop)  # type: ignore[method-assign]
            if options.stages:
                environment.shape_class = Stages(options.stages, options.spawn_rate, runner)
            self.catch_signals()
            if isinstance(runner, MasterRunner):
                runner.register_message(LAST, self.on_last_report)
            if web_ui is None:
                self.begin(self.asked)
                if isinstance(runner, MasterRunner):
                    gevent.spawn(self.await_workers, gevent.getcurrent())
            else:
                check_port(self.parsed.web_host, self.parsed.web_port)
                say(f"web UI: http://localhost:{self.parsed.web_port}/")

    def on_test_start(self, environment: Environment, **_: Any) -> None:
        if self.worker is not None:
            with exiting():
                self.worker.begin_shift()
            return
        if environment.web_ui is not None:
            # Locust counts the form's run time from the click; it would be over before the target answers.
            environment.web_ui._cancel_run_time_timer()  # noqa: SLF001  # there is no other way
            try:
                self.begin(self.ask())
            except LoadError as error:
                say(f"{error.exit_code.name}: {error}")
                self.stop_test()
                return
            if self.parsed.run_time:
                gevent.spawn_later(float(self.parsed.run_time), self.stop_test, self.run)
        if self.run is None or self.run.session is None:
            return
        self.began_ns = time.perf_counter_ns()
        AgentUser.session = self.run.session
        if self.comparing is not None:
            gevent.spawn(gauge, self.run)
            self.comparing.go(self.stop_test)
            return
        gevent.spawn(watch, self.run, self.runner, self.stop_test)
        if isinstance(self.runner, MasterRunner):
            for worker in self.runner.clients.all:
                self.tell_facts(worker.id)
            return
        gevent.spawn(gauge, self.run)
        gevent.spawn(tend, self.run, self.runner)
        if self.run.search is not None:
            assert self.feeding is not None
            gevent.spawn(seek, self.run, self.runner, self.began_ns, self.feeding.set_rate, self.stop_test)

    def on_spawning_complete(self, **_: Any) -> None:
        part = self.run if self.worker is None else self.worker.shift
        if part is None or part.ledger.windows is not None:
            return
        settle()
        if isinstance(part, Shift):
            return  # the master opens the windows
        windows = part.open_windows(self.began_ns)
        if isinstance(self.runner, MasterRunner):
            self.runner.send_message(WINDOWS, dict(windows_of(windows)))
        elif part.options.is_open and part.search is None:
            assert self.feeding is not None
            self.feeding.begin(time.perf_counter_ns(), part.options.rate)

    def on_test_stopping(self, **_: Any) -> None:
        session = self.session
        if session is not None and session.ledger.steady_until_ns is None:
            session.ledger.steady_until_ns = time.perf_counter_ns()
            if self.comparing is not None:
                self.comparing.stop()
            feeding = self.feeding if self.worker is None else self.worker.feeding
            if feeding is not None:
                feeding.stop()
            if session.pool is not None:
                session.pool.close()

    def on_test_stop(self, environment: Environment, **_: Any) -> None:
        if self.worker is not None:
            self.worker.end_shift()
            return
        if isinstance(self.runner, MasterRunner):
            await_reports(self.run, self.runner, self.environment.stop_timeout)
        if environment.web_ui is not None:
            gevent.spawn(self.finish)

    def on_user_error(self, exception: BaseException, **_: Any) -> None:
        session = self.session
        if session is not None and isinstance(exception, LocalFault):
            session.ledger.run.health.fault(str(exception))
        elif session is not None:
            session.ledger.defects.append(f"{type(exception).__name__}: {exception}")

    def on_quitting(self, environment: Environment, **_: Any) -> None:
        if self.worker is not None:
            environment.process_exit_code = 0  # what came of it is the master's to say
            return
        if self.quitting:
            Event().wait()  # after a second signal; the process is ended by whoever came first
        self.quitting = True
        with exiting():
            self.runner.stop()
            code = self.finish()
            if code is not None:
                environment.process_exit_code = int(code)

    # -- a master and its workers

    def on_report_to_master(self, data: dict[str, Any], **_: Any) -> None:
        if self.worker is not None:
            self.worker.report(data)

    def on_worker_connect(self, client_id: str, **_: Any) -> None:
        if self.run is not None and self.began_ns:
            self.tell_facts(client_id, late=True)

    def tell_facts(self, client_id: str, *, late: bool = False) -> None:
        if self.run is not None:
            tell_facts(self.run, cast("MasterRunner", self.runner), self.weights, client_id, late=late)

    def await_workers(self, main: gevent.Greenlet[..., object]) -> None:
        """Ends a run whose workers do not come; Locust would wait for ever."""
        wait_s, self.parsed.expect_workers_max_wait = self.parsed.expect_workers_max_wait or WORKERS_S, 0
        ends_at, expected = time.monotonic() + wait_s, self.parsed.expect_workers
        master = cast("MasterRunner", self.runner)
        while time.monotonic() < ends_at:
            if len(master.clients.ready) >= expected or self.began_ns:
                return
            gevent.sleep(WATCH_S)
        here = len(master.clients.ready)
        say(f"INVALID: incomplete: {expected} workers were expected, and {here} came within {wait_s:g} s")
        if self.run is not None:
            self.run.discard(keep_log=False)
            self.run = None
        gevent.kill(main, SystemExit(int(ExitCode.INVALID)))

    def on_worker_report(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        part = data.pop(PART, None)
        if part is not None and self.run is not None:
            take_part(self.run, client_id, part)

    def on_last_report(self, msg: Any, **_: Any) -> None:
        if self.run is not None:
            take_part(self.run, msg.node_id, msg.data)

    @property
    def session(self) -> Session | None:
        """Of the run that this process takes part in."""
        if self.worker is not None:
            return None if self.worker.shift is None else self.worker.shift.session
        return None if self.run is None else self.run.session

    # -- one run

    def ask(self) -> Asked:
        """Reads the command line, or the form, anew."""
        self.asked = ask(self.parsed, self.environment)
        return self.asked

    @property
    def parsed(self) -> Namespace:
        """The command line; in the web UI, with what the form said."""
        assert self.environment.parsed_options is not None
        parsed: Namespace = self.environment.parsed_options
        return parsed

    @property
    def runner(self) -> Runner:
        """Locust's runner; there is one from `init` on."""
        assert self.environment.runner is not None
        return self.environment.runner

    def begin(self, asked: Asked) -> None:
        """PREPARED. Whatever fails leaves nothing running."""
        options, own = asked.options, asked.own
        self.run = self.feeding = self.comparing = None
        if options.find_capacity and self.environment.web_ui is not None:
            # Its form has brought as many users as it says before anybody could ask for fewer.
            raise UsageError(NOT_IN_THE_WEB_UI)
        run = LoadRun.create(options)
        try:
            tripwire.begin(run)
        except LoadError:
            run.discard(keep_log=False)
            raise
        if options.is_paired:
            self.begin_comparison(run, own)
            return
        coming = () if own is None else own.coming(options.failures)

        def who(failures: tuple[str, ...]) -> list[type[AgentUser]]:
            return weigh(options, asked.kinds, coming, failures, given=asked.mix_given)

        def tell(failures: tuple[str, ...]) -> None:
            tried = () if own is None else own.first_of_each_wire(options.failures)
            announce(options, who(failures), failures, tuple(plan.name for plan in tried))

        try:
            prepared = prepare(options, own, run.folder, run.ledger, run.limits, tell)
            run.session, run.target, run.provider = prepared.session, prepared.target, prepared.provider
            run.settings = prepared.settings
            run.conversations, run.before = prepared.conversations, prepared.before
            kinds = who(prepared.session.failures)
        except BaseException as error:
            run.discard(keep_log=isinstance(error, TargetDown))
            raise
        if own is not None:
            run.not_checkable = {plan.name: plan.dialect.not_checkable for plan in own.plans}
        run.objectives = asked.objectives
        run.rules = read_bundled_rules() if own is None else own.rules
        if options.is_open:
            users = crowd(options, kinds)
            self.parsed.num_users, self.parsed.spawn_rate = users, max(options.spawn_rate, OPEN_SPAWN_RATE)
            run.options = replace(options, users=users)
        if options.find_capacity:
            run.search, run.ledger.steps = Search.of(options), Steps()
            if not options.is_open:
                self.parsed.num_users = first_load(options.users)
        self.weights = {kind.scenario: kind.weight for kind in kinds if not kind.of_failures}
        run.asked = tuple(kind.scenario for kind in kinds if not kind.of_failures)
        run.walkers = sum(kind.fixed_count or options.users for kind in kinds if kind.of_failures)
        self.environment.user_classes = list(kinds)
        if isinstance(self.runner, MasterRunner):
            run.crew = Crew(self.parsed.expect_workers, fingerprint(options))
            # Workers draw from the same seed; the numbers of their users are taken.
            self.parsed.seed = str(options.seed)
            run.session = replace(prepared.session, numbers=Numbers(options.users))
        self.began_ns = 0
        self.run = run
        self.feeding = Feeding(run.session, self.weights, asked.offsets_ns)

    def begin_comparison(self, run: LoadRun, own: Own | None) -> None:
        """PREPARED, with both arms."""
        try:
            self.comparing = prepare_comparison(run, own)
        except BaseException as error:
            run.discard(keep_log=isinstance(error, TargetDown | InvalidRun))
            raise
        self.parsed.run_time = None  # it is the budget of load, and Locust's would be that of the whole run
        self.environment.user_classes = [PairedUser]
        self.run = run

    def finish(self) -> ExitCode | None:
        """ENDED. Stops the target, judges, writes, shows; the code of the run, None when there was none."""
        with self.lock:
            run = self.run
            if run is None:
                return None
            if run.verdict is None:
                if self.comparing is not None:
                    self.comparing.close()
                    return conclude_comparison(run, interrupted=self.interrupted).exit_code
                if run.may_end_together and run.before is not None and not self.interrupted:
                    run.ledger.outcomes.rows |= Ending.ROWS
                    Ending(self.environment).end(run.locks, run.before, run.signal_target)
                return conclude(run, interrupted=self.interrupted).exit_code
            return run.verdict.exit_code

    def stop_test(self, run: LoadRun | None = None) -> None:
        """Headless the process ends with it; the web UI stays for the next run. run: only while it is on."""
        if run is None or (run is self.run and run.verdict is None):
            web = self.environment.web_ui is not None
            gevent.spawn(self.runner.stop if web else self.runner.quit)

    # -- signals

    def catch_signals(self) -> None:
        """Locust installs its own SIGTERM handler only later, and takes an interrupted run for a good one."""
        main = gevent.getcurrent()

        def interrupted(stop: Callable[[], object] | None) -> None:
            self.interrupted = True
            if self.run is None:
                gevent.kill(main, SystemExit(int(ExitCode.INTERRUPTED)))
            elif stop is not None:
                stop()

        # Locust's own handler does the stopping; with a shape it is installed only when that has ended.
        shaped = self.environment.shape_class is not None
        gevent.signal_handler(signal.SIGTERM, interrupted, self.quit if shaped else None)
        gevent.signal_handler(signal.SIGINT, interrupted, self.quit)

    def quit(self) -> None:
        """What Ctrl-C does: users end their streams, then everything is written."""
        gevent.spawn(self.runner.quit)
        if self.environment.web_ui is not None:
            gevent.spawn(self.environment.web_ui.stop)
