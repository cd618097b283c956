#include <QElapsedTimer>
#include <QProcess>
#include <QTemporaryDir>
#include <QTest>
#include <boost/asio/post.hpp>

#include "common/wire/codec.hpp"
#include "tests/common/client/fake_agent.hpp"

using namespace signalbox;
using client::FakeAgent;
using nlohmann::json;

namespace {

struct Outcome {
    int exit_code = -1;
    QString output;
    QString errors;
};

json worker(int slot, int generation, const char* state) {
    return {{"slot", slot},
            {"generation", generation},
            {"pid", 1000 + generation},
            {"state", state},
            {"started", "2026-07-07T09:30:00Z"},
            {"heartbeat_age_seconds", 0.004},
            {"resident_bytes", 100663296},
            {"open_files", 20},
            {"connections", 3},
            {"requests", 123456},
            {"activity", "GET /\x1b[2J"},
            {"activity_age_seconds", 184},
            {"queues", {{{"listener", 0}, {"depth", 2}, {"capacity", 512}}}}};
}

}  // namespace

class TestCtl : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init() {
        io_ = std::make_unique<boost::asio::io_context>();
        folder_ = std::make_unique<QTemporaryDir>();
        agent_ = std::make_unique<FakeAgent>(*io_, folder_->filePath("agent.sock").toStdString());
        refusal_.reset();
        replacements_come_ = true;
        cycle_params_ = nullptr;
        workers_ = {worker(0, 1, "ready"), worker(1, 2, "ready")};
        agent_->answer = [this](const json& request) { return answer(request); };
    }
    void cleanup() {
        agent_.reset();
        io_.reset();
    }

    void workers_are_a_table_without_raw_control_characters() {
        const Outcome outcome = run({"workers"});
        QCOMPARE(outcome.exit_code, 0);
        QVERIFY2(outcome.output.contains("96 MiB"), qPrintable(outcome.output));
        QVERIFY(outcome.output.contains("2/512"));
        QVERIFY(outcome.output.contains("4 ms"));
        QVERIFY(outcome.output.contains("GET /\\x1b[2J (3 min 4 s)"));
        QVERIFY(!outcome.output.contains('\x1b'));
    }

    void json_is_what_the_agent_said() {
        const Outcome outcome = run({"workers", "--json"});
        QVERIFY(json::parse(outcome.output.toStdString()).at("workers") == json(workers_));
    }

    void status_sums_the_group_up() {
        workers_.push_back(worker(2, 3, "draining"));
        const Outcome outcome = run({"status"});
        QCOMPARE(outcome.exit_code, 0);
        QVERIFY2(
            outcome.output.startsWith("mailroom on localhost: 2 of 2 workers ready, 1 in another state\n"),
            qPrintable(outcome.output));
        QVERIFY(outcome.output.contains("127.0.0.1:8080"));
    }

    void scaling_passes_the_number_on() {
        const Outcome outcome = run({"scale", "4"});
        QCOMPARE(outcome.output, QString("from 2 to 4 workers: as you wish\n"));
        QCOMPARE(run({"scale", "none"}).exit_code, 2);
    }

    void settings_are_a_table_without_the_environment() {
        const Outcome outcome = run({"settings"});
        QCOMPARE(outcome.exit_code, 0);
        QCOMPARE(outcome.output.simplified(), QString("NAME KIND VALUE FROM MAY BE "
                                                      "version fact 1.4.2\\x1b code "
                                                      "slow tunable 250ms operator alice 1ms to 60s "
                                                      "depth tunable - - 0 to 9 letters "
                                                      "verbose tunable true default true or false"));
        QVERIFY(run({"settings", "--all"}).output.contains("environment.HOME"));
    }

    void setting_a_tunable_passes_name_and_value_on() {
        const Outcome outcome = run({"set", "slow", "1.5s"});
        QVERIFY2(outcome.exit_code == 0, qPrintable(outcome.errors));
        QVERIFY(set_params_ == json({{"name", "slow"}, {"value", "1.5s"}}));
        QCOMPARE(outcome.output, QString("slow: 250ms before, 1.5s now\n"));
        QCOMPARE(run({"set", "slow"}).exit_code, 2);
        QVERIFY(run({"set", "depth", "--", "-5"}).exit_code == 0 && set_params_["value"] == "-5");
    }

    void cycling_names_the_generation_and_waits_for_the_replacement() {
        const Outcome outcome = run({"cycle", "1"});
        QVERIFY2(outcome.exit_code == 0, qPrintable(outcome.errors));
        QVERIFY(cycle_params_ == json({{"slot", 1}, {"generation", 2}}));
        QVERIFY2(outcome.output.startsWith("the replacement is starting\n"), qPrintable(outcome.output));
        QVERIFY(outcome.output.contains("slot 1   worker_ready: generation 9 serves"));
        QVERIFY(outcome.output.endsWith("1 worker replaced\n"));
    }

    void cycling_without_waiting_returns_at_once() {
        const Outcome outcome = run({"cycle", "1", "--no-wait"});
        QCOMPARE(outcome.output, QString("the replacement is starting\n"));
    }

    void waiting_for_a_replacement_has_an_end() {
        replacements_come_ = false;
        const Outcome outcome = run({"cycle", "1", "--wait", "0"});
        QCOMPARE(outcome.exit_code, 1);
        QVERIFY2(outcome.errors.contains("not ready yet"), qPrintable(outcome.errors));
    }

    void the_agents_refusal_is_the_answer() {
        refusal_ = json{{"code", -32001}, {"message", "not authorised"}};
        const Outcome outcome = run({"cycle", "--all"});
        QCOMPARE(outcome.exit_code, 1);
        QCOMPARE(outcome.errors, QString("signalboxctl: not authorised\n"));
        QVERIFY(outcome.output.isEmpty());
    }

    void a_slot_without_a_worker_is_said() {
        const Outcome outcome = run({"cycle", "7"});
        QCOMPARE(outcome.exit_code, 1);
        QVERIFY(outcome.errors.contains("slot 7 has no worker"));
    }

    void events_are_lines() {
        const Outcome outcome = run({"events", "--limit", "5"});
        QCOMPARE(outcome.output,
                 QString("2026-07-07T09:30:00.250Z  warning  slot 1   worker_exited: killed\\x1b\n"
                         "2026-07-07T09:30:00.500Z  warning  slot 1   charge failed after 12.3 ms: declined "
                         "(amount=12.5, card=\"visa\\x1b gold\")\n"));
    }

    void a_server_that_is_not_there_is_said() {
        agent_.reset();
        const Outcome outcome = run({"status"});
        QCOMPARE(outcome.exit_code, 1);
        QCOMPARE(outcome.errors, QString("signalboxctl: connection refused: is the server running?\n"));
    }

    void connections_are_shown_with_what_they_are_at() {
        const Outcome outcome = run({"connections", "0"});
        QCOMPARE(outcome.exit_code, 0);
        QVERIFY2(outcome.output.contains("192.0.2.7:40122  handling  1.5 s"), qPrintable(outcome.output));
        QVERIFY(outcome.output.contains("GET /\\x1b"));
        QVERIFY(outcome.output.contains("and 3 that its table has no room for"));
        QCOMPARE(run({"connections", "17"}).exit_code, 1);
    }

    void wrong_usage_has_a_code_of_its_own() {
        QCOMPARE(run({}).exit_code, 2);
        QCOMPARE(run({"juggle"}).exit_code, 2);
        QCOMPARE(run({"cycle"}).exit_code, 2);
        QCOMPARE(run({"cycle", "1", "--all"}).exit_code, 2);
    }

private:
    std::optional<json> answer(const json& request) {
        const std::string method = request.at("method");
        if (refusal_ && method != "workers.list" && method != "telemetry.subscribe")
            return json{{"error", *refusal_}};
        if (method == "workers.list")
            return json{{"result", {{"workers", workers_}, {"target", 2}, {"degraded", false}}}};
        if (method == "connections")
            return json{{"result",
                         {{"slot", 0},
                          {"generation", request.at("params").at("generation")},
                          {"unseen", 3},
                          {"connections",
                           {{{"peer", "192.0.2.7:40122"},
                             {"state", "handling"},
                             {"state_seconds", 1.5},
                             {"requests", 7},
                             {"received_bytes", 2048},
                             {"sent_bytes", 512},
                             {"last_request", "GET /\x1b"}}}}}}};
        if (method == "listeners.list")
            return json{{"result",
                         {{"listeners",
                           {{{"index", 0},
                             {"address", "127.0.0.1:8080"},
                             {"protocol", "http"},
                             {"backlog", nullptr}}}}}}};
        if (method == "group.scale")
            return json{
                {"result",
                 {{"from", 2}, {"to", request.at("params").at("workers")}, {"message", "as you wish"}}}};
        if (method == "settings")
            return json{
                {"result",
                 {{"settings",
                   {{{"name", "version"}, {"kind", "fact"}, {"value", "1.4.2\x1b"}, {"origin", "code"}},
                    {{"name", "environment.HOME"},
                     {"kind", "fact"},
                     {"value", "/root"},
                     {"origin", "environment"}},
                    {{"name", "slow"},
                     {"kind", "tunable"},
                     {"value", "250ms"},
                     {"origin", "operator alice"},
                     {"min", "1ms"},
                     {"max", "60s"},
                     {"unit", ""}},
                    {{"name", "depth"},
                     {"kind", "tunable"},
                     {"value", nullptr},
                     {"origin", nullptr},
                     {"min", "0"},
                     {"max", "9"},
                     {"unit", "letters"}},
                    {{"name", "verbose"},
                     {"kind", "tunable"},
                     {"type", "boolean"},
                     {"value", "true"},
                     {"origin", "default"},
                     {"min", "false"},
                     {"max", "true"}}}}}}};
        if (method == "set") {
            set_params_ = request.at("params");
            return json{{"result", {{"message", "slow: 250ms before, 1.5s now"}}}};
        }
        if (method == "events.list") {
            const json event = {{"time", "2026-07-07T09:30:00.250Z"},
                                {"severity", "warning"},
                                {"slot", 1},
                                {"name", "worker_exited"},
                                {"text", "killed\x1b"}};
            const json action = {{"time", "2026-07-07T09:30:00.500Z"},
                                 {"severity", "warning"},
                                 {"slot", 1},
                                 {"name", "charge"},
                                 {"text", "declined"},
                                 {"kind", "failure"},
                                 {"duration_seconds", 0.0123},
                                 {"fields", {{"amount", 12.5}, {"card", "visa\x1b gold"}}}};
            return json{{"result", {{"events", json::array({event, action})}, {"lost", 0}}}};
        }
        if (method == "worker.cycle") {
            cycle_params_ = request.at("params");
            if (replacements_come_) replace_worker_1();
            return json{
                {"result", {{"slot", 1}, {"generation", 2}, {"message", "the replacement is starting"}}}};
        }
        return json{{"result", json::object()}};
    }
    void replace_worker_1() {
        workers_[1] = worker(1, 9, "ready");
        wire::Event ready;
        ready.sequence = 1;
        ready.severity = wire::Severity::info;
        ready.slot = 1;
        ready.name = "worker_ready";
        ready.text = "generation 9 serves";
        // To come after the response, as news do.
        boost::asio::post(*io_, [this, ready] {
            agent_->send_binary(wire::encode(wire::Events{0, {ready}}));
        });
    }

    Outcome run(const QStringList& arguments) {
        QProcess program;
        const QString url = "unix:" + folder_->filePath("agent.sock");
        program.start(qEnvironmentVariable("SIGNALBOX_BIN_DIR") + "/signalboxctl",
                      QStringList{url} + arguments);
        QElapsedTimer elapsed;
        elapsed.start();
        while (!program.waitForFinished(1) && program.state() != QProcess::NotRunning &&
               elapsed.elapsed() < 30000) {
            io_->restart();
            io_->run_for(std::chrono::milliseconds(2));
        }
        const bool finished = program.state() == QProcess::NotRunning;
        return {finished ? program.exitCode() : -1, program.readAllStandardOutput(),
                program.readAllStandardError()};
    }

    std::unique_ptr<boost::asio::io_context> io_;
    std::unique_ptr<QTemporaryDir> folder_;
    std::unique_ptr<FakeAgent> agent_;
    std::vector<json> workers_;
    std::optional<json> refusal_;
    bool replacements_come_ = true;
    json cycle_params_;
    json set_params_;
};

QTEST_GUILESS_MAIN(TestCtl)
#include "test_ctl.moc"
