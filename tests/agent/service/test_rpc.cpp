// Requests without sockets: who may do what, what is wrong with them, and what the arbiter's answers become.
#include <sys/socket.h>
#include <unistd.h>

#include <QTest>
#include <cstring>
#include <nlohmann/json.hpp>
#include <vector>

#include "agent/service/rpc.hpp"
#include "agent/telemetry/seat.hpp"
#include "signalbox/context.hpp"
#include "tests/agent/service/fake_group.hpp"

using namespace signalbox;
using namespace signalbox::service;
using nlohmann::json;

namespace {

struct FakeArbiter : Commands {
    std::optional<supervisor::Answer> answer;
    std::vector<supervisor::Command> asked;
    void ask(supervisor::Command command, Done done) override {
        asked.push_back(command);
        done(answer);
    }
    void will_say(supervisor::Outcome outcome, const char* text) {
        answer.emplace();
        answer->outcome = outcome;
        std::strcpy(answer->text, text);
    }
};

struct FakeStream : Stream {
    std::optional<Subscription> wanted;
    bool sent = false;
    Opening subscribe(const Subscription& subscription) override {
        wanted = subscription;
        return {42, {}};
    }
    void send(Opening) override { sent = true; }
    void unsubscribe() override { wanted.reset(); }
};

struct Desk {
    FakeGroup group{"desk"};
    telemetry::SegmentView view{group.segment().descriptor()};
    Feeds feeds{view, Clock::now()};
    Authorizer authorizer{{"alice"}};
    FakeArbiter arbiter;
    Rpc rpc{view, feeds, authorizer, arbiter};
    FakeStream stream;
    Principal principal{"alice", Role::operator_};

    json ask(const std::string& text) {
        std::optional<std::string> reply;
        rpc.handle(principal, text, &stream, [&](std::string given) { reply = std::move(given); });
        return !reply || reply->empty() ? json("nothing") : json::parse(*reply);
    }
    json call(const char* method, const json& params = json::object()) {
        return ask(json{{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", params}}.dump());
    }
};

int code(const json& reply) {
    return reply.contains("error") ? reply["error"]["code"].get<int>() : 0;
}

}  // namespace

class TestRpc : public QObject {
    Q_OBJECT
private slots:
    void the_authorizer_denies_what_its_table_does_not_allow_data();
    void the_authorizer_denies_what_its_table_does_not_allow();
    void unix_peers_are_ourselves_or_root();
    void a_common_name_with_control_characters_is_made_printable();
    void malformed_requests_get_their_codes_data();
    void malformed_requests_get_their_codes();
    void bad_parameters_are_refused_data();
    void bad_parameters_are_refused();
    void a_notification_gets_no_reply();
    void a_viewer_may_look_but_not_act();
    void lists_have_the_members_of_the_contract();
    void settings_have_the_members_of_the_contract();
    void set_sends_the_arbiter_a_checked_word();
    void set_refuses_what_cannot_be_and_says_why_data();
    void set_refuses_what_cannot_be_and_says_why();
    void who_may_set_is_what_the_tunable_says();
    void connections_are_those_of_one_generation();
    void subscribing_replies_first_and_sends_then();
    void the_arbiters_outcomes_become_results_and_errors();
    void an_arbiter_that_never_answers_is_given_up_after_five_seconds();
};

void TestRpc::the_authorizer_denies_what_its_table_does_not_allow_data() {
    QTest::addColumn<QString>("what");
    QTest::addColumn<int>("viewer");
    QTest::addColumn<int>("acting");
    const int yes = static_cast<int>(Decision::allowed);
    const int no = static_cast<int>(Decision::denied);
    const int unknown = static_cast<int>(Decision::unknown);
    for (const char* what :
         {"GET /", "GET /metrics", "GET /healthz", "GET /stream", "POST /rpc", "workers.list", "connections",
          "listeners.list", "instruments.list", "events.list", "telemetry.subscribe", "telemetry.unsubscribe",
          "settings", "set"})
        QTest::newRow(what) << what << yes << yes;
    for (const char* what : {"worker.cycle", "worker.keep", "group.cycle", "group.scale", "group.upgrade"})
        QTest::newRow(what) << what << no << yes;
    for (const char* what : {"", "worker.kill", "workers.list ", "GET /secret", "PUT /", "Worker.cycle"})
        QTest::newRow(QByteArray("unknown: ") + what) << what << unknown << unknown;
}

void TestRpc::the_authorizer_denies_what_its_table_does_not_allow() {
    QFETCH(QString, what);
    const Authorizer authorizer({"alice"});
    QTEST(static_cast<int>(authorizer.decide(authorizer.tls_peer("bob"), what.toStdString())), "viewer");
    QTEST(static_cast<int>(authorizer.decide(authorizer.tls_peer("alice"), what.toStdString())), "acting");
}

void TestRpc::unix_peers_are_ourselves_or_root() {
    const Authorizer authorizer({});
    QVERIFY(authorizer.unix_peer(::geteuid())->may_act());
    QVERIFY(authorizer.unix_peer(0)->may_act());
    QVERIFY(!authorizer.unix_peer(::geteuid() + 1));
}

void TestRpc::a_common_name_with_control_characters_is_made_printable() {
    const Principal principal = Authorizer({}).tls_peer("eve\x1b[2J\n");
    QCOMPARE(QString::fromStdString(principal.name), "eve?[2J?");
    QVERIFY(!principal.may_act());
}

void TestRpc::malformed_requests_get_their_codes_data() {
    QTest::addColumn<QByteArray>("text");
    QTest::addColumn<int>("expected");
    QTest::newRow("nothing") << QByteArray() << -32700;
    QTest::newRow("no JSON") << QByteArray("{") << -32700;
    QTest::newRow("not UTF-8") << QByteArray("{\"method\": \"\xff\"}") << -32700;
    QTest::newRow("deep") << QByteArray(100'000, '[') << -32700;
    QTest::newRow("a batch") << QByteArray("[]") << -32600;
    QTest::newRow("a number") << QByteArray("7") << -32600;
    QTest::newRow("no version") << QByteArray(R"({"id":1,"method":"workers.list"})") << -32600;
    QTest::newRow("version 1") << QByteArray(R"({"jsonrpc":"1.0","id":1,"method":"workers.list"})") << -32600;
    QTest::newRow("no method") << QByteArray(R"({"jsonrpc":"2.0","id":1})") << -32600;
    QTest::newRow("method 7") << QByteArray(R"({"jsonrpc":"2.0","id":1,"method":7})") << -32600;
    QTest::newRow("id {}") << QByteArray(R"({"jsonrpc":"2.0","id":{},"method":"workers.list"})") << -32600;
    QTest::newRow("no such method") << QByteArray(R"({"jsonrpc":"2.0","id":1,"method":"worker.kill"})")
                                    << -32601;
    QTest::newRow("a page") << QByteArray(R"({"jsonrpc":"2.0","id":1,"method":"GET /"})") << -32601;
    QTest::newRow("params []") << QByteArray(
                                      R"({"jsonrpc":"2.0","id":1,"method":"workers.list","params":[]})")
                               << -32602;
}

void TestRpc::malformed_requests_get_their_codes() {
    QFETCH(QByteArray, text);
    Desk desk;
    QTEST(code(desk.ask(text.toStdString())), "expected");
}

void TestRpc::bad_parameters_are_refused_data() {
    QTest::addColumn<QByteArray>("method");
    QTest::addColumn<QByteArray>("params");
    const auto row = [](const char* method, const char* params) {
        QTest::addRow("%s %s", method, params) << QByteArray(method) << QByteArray(params);
    };
    row("worker.cycle", R"({})");
    row("worker.cycle", R"({"slot":0})");
    row("worker.keep", R"({"slot":0})");
    row("worker.cycle", R"({"slot":-1,"generation":1})");
    row("worker.cycle", R"({"slot":4,"generation":1})");
    row("worker.cycle", R"({"slot":"0","generation":1})");
    row("worker.cycle", R"({"slot":0.5,"generation":1})");
    row("worker.cycle", R"({"slot":18446744073709551615,"generation":1})");
    row("worker.cycle", R"({"slot":0,"generation":-1})");
    row("group.scale", R"({})");
    row("group.scale", R"({"workers":0})");
    row("group.scale", R"({"workers":5})");
    row("group.scale", R"({"workers":null})");
    row("connections", R"({})");
    row("connections", R"({"generation":0})");
    row("events.list", R"({"limit":0})");
    row("events.list", R"({"limit":1001})");
    row("telemetry.subscribe", R"({"granularity":"slot"})");
    row("telemetry.subscribe", R"({"period_ms":99})");
    row("telemetry.subscribe", R"({"period_ms":60001})");
    row("telemetry.subscribe", R"({"scale":8})");
    row("telemetry.subscribe", R"({"scale":-3})");
    row("telemetry.subscribe", R"({"history_ms":300001})");
    row("telemetry.subscribe", R"({"since_ns":"yesterday"})");
    row("telemetry.subscribe", R"({"since_ns":-1})");
}

void TestRpc::bad_parameters_are_refused() {
    QFETCH(QByteArray, method);
    QFETCH(QByteArray, params);
    Desk desk;
    const json reply = desk.call(method, json::parse(params.toStdString()));
    QCOMPARE(code(reply), -32602);
    QVERIFY(desk.arbiter.asked.empty());
    QVERIFY(!desk.stream.wanted);
}

void TestRpc::a_notification_gets_no_reply() {
    Desk desk;
    QVERIFY(desk.ask(R"({"jsonrpc":"2.0","method":"workers.list"})") == "nothing");
    QVERIFY(desk.ask(R"({"jsonrpc":"2.0","method":"no.such"})") == "nothing");
}

void TestRpc::a_viewer_may_look_but_not_act() {
    Desk desk;
    desk.principal = desk.authorizer.tls_peer("bob");
    QCOMPARE(code(desk.call("workers.list")), 0);
    QCOMPARE(code(desk.call("telemetry.subscribe")), 0);
    QCOMPARE(code(desk.call("worker.cycle", {{"slot", 0}, {"generation", 1}})), -32001);
    QCOMPARE(code(desk.call("worker.keep", {{"slot", 0}, {"generation", 1}})), -32001);
    QCOMPARE(code(desk.call("group.cycle")), -32001);
    QCOMPARE(code(desk.call("group.scale", {{"workers", 1}})), -32001);
    QVERIFY(desk.arbiter.asked.empty());
}

void TestRpc::lists_have_the_members_of_the_contract() {
    Desk desk;
    Counter letters(desk.group.telemetry, "letters_total", "Letters", {{"kind", "spam"}});
    desk.group.start_worker(2);
    desk.group.log("group_started", "It \xff runs.");
    desk.feeds.run_due(Clock::now() + std::chrono::seconds(2));

    const json workers = desk.call("workers.list")["result"];
    QVERIFY(workers["target"] == 4);
    QVERIFY(workers["degraded"] == false);
    const json& worker = workers["workers"][0];
    QVERIFY(worker["slot"] == 1 && worker["generation"] == 1 && worker["state"] == "ready");
    QVERIFY(worker["started"].get<std::string>().ends_with("Z"));
    for (const char* member : {"pid", "heartbeat_age_seconds", "resident_bytes", "open_files", "connections",
                               "requests", "activity", "activity_age_seconds", "queues"})
        QVERIFY2(worker.contains(member), member);

    const json instrument = desk.call("instruments.list")["result"]["instruments"][0];
    QVERIFY(instrument["kind"] == "counter" && instrument["name"] == "letters_total");
    QVERIFY(instrument["labels"]["kind"] == "spam" && instrument["aggregation"] == "sum");

    const json events = desk.call("events.list", {{"limit", 5}})["result"];
    QVERIFY(events["lost"] == 0);
    QVERIFY(events["events"][0]["slot"].is_null());
    QVERIFY(events["events"][0]["text"] == "It \xef\xbf\xbd runs.");
    QVERIFY(desk.call("listeners.list")["result"]["listeners"].is_array());
}

void TestRpc::settings_have_the_members_of_the_contract() {
    using namespace std::chrono_literals;
    Desk desk;
    Context context(desk.group.telemetry);
    context.fact("version", "1.4.2 \xff");
    Tunable<std::chrono::milliseconds> slow(context, "slow", 250ms,
                                            {.min = 1ms, .max = 60s, .help = "Slow requests"});
    Tunable<std::int64_t> depth(context, "depth", 7, {.unit = "letters", .role = Role::viewer});
    desk.principal = desk.authorizer.tls_peer("bob");
    json settings = desk.call("settings")["result"]["settings"];
    QCOMPARE(settings.size(), 3u);
    QVERIFY(settings[0]["defined_at"].get<std::string>().starts_with("test_rpc.cpp:"));
    for (json& setting : settings)
        setting.erase("defined_at");
    QVERIFY(settings[0] == (json{{"name", "version"},
                                 {"kind", "fact"},
                                 {"type", "text"},
                                 {"value", "1.4.2 \xef\xbf\xbd"},
                                 {"origin", "code"},
                                 {"changes", 0}}));
    QVERIFY(settings[1] == (json{{"name", "slow"},
                                 {"kind", "tunable"},
                                 {"type", "duration"},
                                 {"value", "250ms"},
                                 {"origin", "default"},
                                 {"changes", 0},
                                 {"min", "1ms"},
                                 {"max", "60s"},
                                 {"unit", ""},
                                 {"help", "Slow requests"},
                                 {"role", "operator"}}));
    QVERIFY(settings[2]["role"] == "viewer" && settings[2]["unit"] == "letters");
    desk.group.segment().setting(1).sequence.store(1);  // its writer is in the middle of it
    QVERIFY(desk.call("settings")["result"]["settings"][1]["value"].is_null());
}

void TestRpc::set_sends_the_arbiter_a_checked_word() {
    using namespace std::chrono_literals;
    Desk desk;
    Context context(desk.group.telemetry);
    Tunable<bool> verbose(context, "verbose", false);
    Tunable<std::chrono::milliseconds> slow(context, "slow", 250ms, {.min = 1ms, .max = 60s});
    Tunable<double> share(context, "share", 0.5);
    desk.arbiter.will_say(supervisor::Outcome::accepted, "slow: 250ms before, 1.5s now");
    const json reply = desk.call("set", {{"name", "slow"}, {"value", "1500ms"}});
    QVERIFY(reply["result"] ==
            (json{{"name", "slow"}, {"value", "1.5s"}, {"message", "slow: 250ms before, 1.5s now"}}));
    const supervisor::Command& command = desk.arbiter.asked.back();
    QVERIFY(command.operation == supervisor::Operation::set);
    QCOMPARE(command.setting, 1u);
    QVERIFY(command.setting_type == detail::SettingType::duration);
    QCOMPARE(command.value, 1'500'000'000u);
    QVERIFY(command.role == Role::operator_);
    QCOMPARE(QString(command.principal), "alice");
    for (const json& value : {json(true), json("true"), json("on")}) {
        QCOMPARE(code(desk.call("set", {{"name", "verbose"}, {"value", value}})), 0);
        QCOMPARE(desk.arbiter.asked.back().value, 1u);
    }
    for (const json& value : {json(0.25), json("0.25")}) {
        QCOMPARE(code(desk.call("set", {{"name", "share"}, {"value", value}})), 0);
        QCOMPARE(desk.arbiter.asked.back().value, std::bit_cast<std::uint64_t>(0.25));
    }
    desk.arbiter.will_say(supervisor::Outcome::refused, "no");
    QCOMPARE(code(desk.call("set", {{"name", "verbose"}, {"value", true}})), -32003);
    desk.arbiter.answer.reset();
    QCOMPARE(code(desk.call("set", {{"name", "verbose"}, {"value", true}})), -32004);
}

void TestRpc::set_refuses_what_cannot_be_and_says_why_data() {
    QTest::addColumn<QByteArray>("params");
    QTest::addColumn<int>("expected");
    QTest::addColumn<QString>("message");
    const auto row = [](const char* params, int expected, const char* message) {
        QTest::newRow(params) << QByteArray(params) << expected << QString(message);
    };
    row(R"({})", -32602, "name must be a string: that of a tunable");
    row(R"({"name":7})", -32602, "name must be a string: that of a tunable");
    row(R"({"name":"swift","value":"5ms"})", -32602, "there is no setting 'swift'");
    row(R"({"name":"listen","value":"5ms"})", -32003, "listen cannot be changed while the group runs");
    row(R"({"name":"slow"})", -32602, "value is missing");
    row(R"({"name":"slow","value":null})", -32602, "value must be a string, a number, true or false");
    row(R"({"name":"slow","value":{}})", -32602, "value must be a string, a number, true or false");
    row(R"({"name":"slow","value":"5m"})", -32602, "slow: '5m' is above its maximum of 60s");
    row(R"({"name":"slow","value":"0s"})", -32602, "slow: '0s' is below its minimum of 1ms");
    row(R"({"name":"slow","value":"1.5ms"})", -32602, "slow: '1.5ms' is not a multiple of 1ms");
    row(R"({"name":"slow","value":250})", -32602,
        "slow: '250' is not a duration; try '250ms' or '1.5s' (ns, us, ms, s, min, h and d are known)");
}

void TestRpc::set_refuses_what_cannot_be_and_says_why() {
    using namespace std::chrono_literals;
    QFETCH(QByteArray, params);
    Desk desk;
    Context context(desk.group.telemetry);
    context.setting("listen", "127.0.0.1:8080", "code");
    Tunable<std::chrono::milliseconds> slow(context, "slow", 250ms, {.min = 1ms, .max = 60s});
    const json reply = desk.call("set", json::parse(params.toStdString()));
    QTEST(code(reply), "expected");
    QTEST(QString::fromStdString(reply["error"]["message"]), "message");
    QVERIFY(desk.arbiter.asked.empty());
}

void TestRpc::who_may_set_is_what_the_tunable_says() {
    Desk desk;
    Context context(desk.group.telemetry);
    Tunable<bool> verbose(context, "verbose", false);
    Tunable<bool> traced(context, "traced", false, {.role = Role::viewer});
    desk.arbiter.will_say(supervisor::Outcome::accepted, "done");
    desk.principal = desk.authorizer.tls_peer("bob");
    const json refused = desk.call("set", {{"name", "verbose"}, {"value", true}});
    QCOMPARE(code(refused), -32001);
    QVERIFY(refused["error"]["message"] == "bob may look, but not act (set verbose)");
    QVERIFY(desk.arbiter.asked.empty());
    QCOMPARE(code(desk.call("set", {{"name", "traced"}, {"value", true}})), 0);
    QVERIFY(desk.arbiter.asked.back().role == Role::viewer);
    // A zeroed or damaged role opens nothing.
    desk.group.segment().setting(1).role = 0;
    QVERIFY(code(desk.call("set", {{"name", "traced"}, {"value", true}})) != 0);
}

void TestRpc::connections_are_those_of_one_generation() {
    Desk desk;
    desk.group.start_worker(2);
    telemetry::ConnectionTable table(desk.group.telemetry.segment(), 2);
    telemetry::ConnectionSlot slot = table.open("192.0.2.7:40122\xff", telemetry::monotonic_ns());
    slot.enter(telemetry::ConnectionState::handling, telemetry::monotonic_ns());
    slot.begin_request("POST /classify");
    const json result = desk.call("connections", {{"generation", 1}})["result"];
    QVERIFY(result["slot"] == 1 && result["generation"] == 1 && result["unseen"] == 0);
    QCOMPARE(result["connections"].size(), 1u);
    const json& connection = result["connections"][0];
    QVERIFY(connection["state"] == "handling" && connection["last_request"] == "POST /classify");
    QVERIFY(connection["peer"] == "192.0.2.7:40122\xef\xbf\xbd");
    for (const char* member : {"state_seconds", "requests", "received_bytes", "sent_bytes"})
        QVERIFY2(connection.contains(member), member);
    QCOMPARE(code(desk.call("connections", {{"generation", 2}})), -32002);
}

void TestRpc::subscribing_replies_first_and_sends_then() {
    Desk desk;
    bool sent_before_the_reply = false;
    desk.rpc.handle(
        desk.principal,
        R"({"jsonrpc":"2.0","id":1,"method":"telemetry.subscribe",
                        "params":{"granularity":"group","scale":3,"period_ms":250,"since_ns":12345}})",
        &desk.stream, [&](std::string reply) {
            sent_before_the_reply = desk.stream.sent;
            QVERIFY(json::parse(reply)["result"] ==
                    (json{{"granularity", "group"}, {"scale", 3}, {"period_ms", 250}, {"tick", 42}}));
        });
    QVERIFY(!sent_before_the_reply);
    QVERIFY(desk.stream.sent);
    QCOMPARE(desk.stream.wanted->since->time_since_epoch().count(), 12345);
    QCOMPARE(code(desk.call("telemetry.unsubscribe")), 0);
    QVERIFY(!desk.stream.wanted);
}

void TestRpc::the_arbiters_outcomes_become_results_and_errors() {
    Desk desk;
    desk.arbiter.will_say(supervisor::Outcome::accepted, "Its successor is starting.");
    const json cycled = desk.call("worker.cycle", {{"slot", 3}, {"generation", 9}});
    QVERIFY(cycled["result"] ==
            (json{{"slot", 3}, {"generation", 9}, {"message", "Its successor is starting."}}));
    QCOMPARE(desk.arbiter.asked.back().generation, 9u);
    QCOMPARE(QString(desk.arbiter.asked.back().principal), "alice");

    QVERIFY(desk.call("worker.keep", {{"slot", 3}, {"generation", 9}})["result"]["generation"] == 9);
    QVERIFY(desk.arbiter.asked.back().operation == supervisor::Operation::keep_worker);

    QVERIFY(desk.call("group.upgrade")["result"]["message"] == "Its successor is starting.");
    QVERIFY(desk.arbiter.asked.back().operation == supervisor::Operation::upgrade);

    desk.arbiter.answer->from_workers = 2;
    desk.arbiter.answer->to_workers = 4;
    QVERIFY(desk.call("group.scale", {{"workers", 4}})["result"]["from"] == 2);

    desk.arbiter.will_say(supervisor::Outcome::stale, "That one is gone.");
    QCOMPARE(code(desk.call("worker.cycle", {{"slot", 3}, {"generation", 9}})), -32002);
    desk.arbiter.will_say(supervisor::Outcome::refused, "It is being cycled.");
    const json refused = desk.call("group.cycle");
    QCOMPARE(code(refused), -32003);
    QVERIFY(refused["error"]["message"] == "It is being cycled.");
    desk.arbiter.answer.reset();
    QCOMPARE(code(desk.call("group.cycle")), -32004);
}

void TestRpc::an_arbiter_that_never_answers_is_given_up_after_five_seconds() {
    int ends[2];
    QCOMPARE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    boost::asio::io_context io;
    ArbiterLink link(io, ends[0], [] {});
    bool done = false;
    const auto start = Clock::now();
    link.ask({}, [&](std::optional<supervisor::Answer> answer) {
        QVERIFY(!answer);
        done = true;
    });
    while (!done)
        io.run_one();
    QVERIFY(Clock::now() - start >= ArbiterLink::kPatience);
    ::close(ends[0]);
    ::close(ends[1]);
}

QTEST_GUILESS_MAIN(TestRpc)
#include "test_rpc.moc"
