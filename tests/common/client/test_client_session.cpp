#include <QProcess>
#include <QTemporaryDir>
#include <QTest>
#include <thread>

#include "common/client/session.hpp"
#include "common/wire/codec.hpp"
#include "tests/common/client/fake_agent.hpp"
#include "tests/support/certificates.hpp"

using namespace signalbox;
using namespace signalbox::client;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

struct Recorder : Observer {
    std::vector<State> states;
    std::vector<std::string> details;
    std::vector<Hello> hellos;
    std::vector<wire::Tick> ticks;
    std::vector<wire::Directory> directories;
    std::vector<wire::Events> events;
    std::function<void()> at_tick = [] {};

    void on_state(State state, const std::string& detail) override {
        states.push_back(state);
        details.push_back(detail);
    }
    void on_hello(const Hello& hello) override { hellos.push_back(hello); }
    void on_directory(wire::Directory&& directory) override { directories.push_back(std::move(directory)); }
    void on_tick(wire::Tick&& tick) override {
        ticks.push_back(std::move(tick));
        at_tick();
    }
    void on_events(wire::Events&& more) override { events.push_back(std::move(more)); }

    /// The text of the newest `waiting`, or nothing.
    QString reason() const {
        for (std::size_t i = states.size(); i-- > 0;) {
            if (states[i] == State::waiting) return QString::fromStdString(details[i]);
        }
        return {};
    }
};

std::string tick_frame(std::uint64_t number, std::chrono::nanoseconds end) {
    wire::Tick tick;
    tick.number = number;
    tick.end = wire::WallTime(end);
    return wire::encode(tick);
}

boost::asio::ssl::context agent_tls(const Certificates& certificates) {
    namespace ssl = boost::asio::ssl;
    ssl::context context(ssl::context::tls_server);
    context.use_certificate_chain_file(certificates.file("server.pem"));
    context.use_private_key_file(certificates.file("server.key"), ssl::context::pem);
    context.load_verify_file(certificates.file("authority.pem"));
    context.set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert);
    return context;
}

}  // namespace

class TestClientSession : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void init() {
        io_ = std::make_unique<boost::asio::io_context>();
        folder_ = std::make_unique<QTemporaryDir>();
        recorder_ = Recorder();
        path_ = folder_->filePath("agent.sock").toStdString();
        options_ = Options{.url = Url::parse("unix:" + path_), .first_retry = 10ms, .last_retry = 40ms};
    }
    void cleanup() {
        session_.reset();
        agent_.reset();
        io_.reset();
    }

    void the_agent_introduces_itself() {
        connect();
        QCOMPARE(recorder_.states, (std::vector{State::connecting, State::connected}));
        const Hello& hello = recorder_.hellos.at(0);
        QCOMPARE(hello.group, std::string("mailroom"));
        QCOMPARE(hello.boot_id, std::string("b1"));
        QCOMPARE(hello.arbiter_pid, 10u);
        QVERIFY(hello.may_act);
    }

    void a_call_is_answered_with_its_own_result() {
        connect();
        agent_->answer = [](const json& request) { return json{{"result", request.at("params")}}; };
        std::vector<json> results;
        for (int i = 0; i < 3; ++i)
            session_->call("echo", {{"number", i}},
                           [&](const Reply& reply) { results.push_back(reply.result.value()); });
        QVERIFY(comes_true([&] { return results.size() == 3; }));
        QCOMPARE(results[0].dump(), std::string(R"({"number":0})"));
        QCOMPARE(results[2].dump(), std::string(R"({"number":2})"));
        QCOMPARE(agent_->requests[0].at("method").get<std::string>(), std::string("echo"));
    }

    void a_call_is_answered_with_the_agents_error() {
        connect();
        agent_->answer = [](const json&) {
            return json{{"error", {{"code", -32002}, {"message", "slot 3 is at generation 8"}}}};
        };
        const Reply reply = answer_to("worker.cycle");
        QVERIFY(!reply);
        QCOMPARE(reply.error_code, -32002);
        QCOMPARE(reply.error, std::string("slot 3 is at generation 8"));
    }

    void a_call_without_an_answer_times_out() {
        options_.call_timeout = 30ms;
        connect();
        agent_->answer = [](const json&) { return std::nullopt; };
        const Reply reply = answer_to("workers.list");
        QCOMPARE(reply.error_code, -32000);
        QCOMPARE(reply.error, std::string("workers.list: the agent has not answered within 30 ms"));
        QCOMPARE(recorder_.states.back(), State::connected);
    }

    void a_call_while_not_connected_fails_but_not_at_once() {
        session_ = std::make_unique<Session>(*io_, options_, recorder_);
        bool answered = false;
        session_->call("workers.list", {}, [&](const Reply& reply) { answered = !reply; });
        QVERIFY(!answered);
        QVERIFY(comes_true([&] { return answered; }));
    }

    void a_lost_connection_fails_the_calls_under_way_and_is_made_again() {
        connect();
        agent_->answer = [this](const json&) {
            agent_->drop_connections();
            return std::nullopt;
        };
        const Reply reply = answer_to("workers.list");
        QVERIFY(QString::fromStdString(reply.error)
                    .startsWith("the connection was lost: the agent closed the connection"));
        QVERIFY(comes_true([&] { return recorder_.hellos.size() == 2; }));
    }

    void a_server_that_comes_back_is_found_again() {
        connect();
        agent_.reset();
        QVERIFY(comes_true([&] {
            return recorder_.reason().startsWith(
                "connection refused: is the server running? trying again in ");
        }));
        QFile::remove(QString::fromStdString(path_));
        QVERIFY(comes_true([&] { return recorder_.reason().contains("is this the right path?"); }));
        agent_ = std::make_unique<FakeAgent>(*io_, path_);
        QVERIFY(comes_true([&] { return recorder_.hellos.size() == 2; }));
    }

    void what_the_subscription_brings_reaches_the_observer() {
        options_.subscription = Subscription{
            .granularity = Subscription::Granularity::group, .period = 500ms, .scale = 3, .history = 60s};
        connect();
        QVERIFY(comes_true([&] { return agent_->requests.size() == 1; }));
        QCOMPARE(agent_->requests[0].at("method").get<std::string>(), std::string("telemetry.subscribe"));
        QVERIFY(agent_->requests[0].at("params") ==
                json({{"granularity", "group"}, {"period_ms", 500}, {"scale", 3}, {"history_ms", 60000}}));
        agent_->send_binary(wire::encode(wire::Directory{}));
        agent_->send_binary(tick_frame(7, 1s));
        agent_->send_binary(wire::encode(wire::Events{.lost = 4, .events = {}}));
        QVERIFY(comes_true([&] { return recorder_.events.size() == 1; }));
        QCOMPARE(recorder_.directories.size(), std::size_t{1});
        QCOMPARE(recorder_.ticks.at(0).number, std::uint64_t{7});
    }

    void a_new_connection_asks_only_for_what_was_missed() {
        options_.subscription = Subscription{};
        connect();
        QVERIFY(comes_true([&] { return agent_->requests.size() == 1; }));
        QVERIFY(!agent_->requests[0].at("params").contains("since_ns"));
        agent_->send_binary(tick_frame(1, 1783700000'000000001ns));
        QVERIFY(comes_true([&] { return recorder_.ticks.size() == 1; }));
        agent_->drop_connections();
        QVERIFY(comes_true([&] { return agent_->requests.size() == 2; }));
        QCOMPARE(agent_->requests[1].at("params").at("since_ns").dump(), std::string("1783700000000000001"));
    }

    void frames_of_a_replaced_subscription_are_dropped() {
        options_.subscription = Subscription{};
        connect();
        QVERIFY(comes_true([&] { return agent_->requests.size() == 1; }));
        agent_->answer = [this](const json&) {
            agent_->send_binary(tick_frame(1, 1s));
            return json{{"result", json::object()}};
        };
        session_->subscribe(Subscription{.scale = 7});
        QVERIFY(comes_true([&] { return agent_->requests.size() == 2; }));
        agent_->send_binary(tick_frame(2, 2s));
        QVERIFY(comes_true([&] { return !recorder_.ticks.empty(); }));
        QCOMPARE(recorder_.ticks.at(0).number, std::uint64_t{2});
    }

    void a_refused_subscription_is_a_failure_that_is_reported() {
        options_.subscription = Subscription{};
        agent_ = std::make_unique<FakeAgent>(*io_, path_);
        agent_->answer = [](const json&) {
            return json{{"error", {{"code", -32001}, {"message", "not authorised"}}}};
        };
        start();
        QVERIFY(comes_true([&] {
            return recorder_.reason().startsWith("the subscription failed: not authorised; trying again in ");
        }));
    }

    void garbage_ends_the_connection_and_is_reported_data() {
        QTest::addColumn<std::string>("frame");
        QTest::addColumn<bool>("binary");
        QTest::addColumn<QString>("reason");
        QTest::newRow("binary") << std::string("\xff\x01") << true
                                << "the agent sent a broken frame: there is no message type 255";
        QTest::newRow("text") << std::string("hello?") << false
                              << "the agent sent a text that is not JSON-RPC";
        QTest::newRow("too big") << std::string((16 << 20) + 1, ' ') << true
                                 << "the agent sent a frame of more than 16 MiB";
    }
    void garbage_ends_the_connection_and_is_reported() {
        QFETCH(std::string, frame);
        QFETCH(bool, binary);
        QFETCH(QString, reason);
        connect();
        // What exceeds the socket's buffer is written while the session reads, so by another thread.
        std::thread sender([&] { binary ? agent_->send_binary(frame) : agent_->send_text(frame); });
        const bool reported = comes_true([&] { return recorder_.reason().startsWith(reason); });
        sender.join();
        QVERIFY2(reported, qPrintable(recorder_.reason()));
        QVERIFY(comes_true([&] { return recorder_.hellos.size() == 2; }));
    }

    void a_peer_that_is_no_agent_is_reported_data() {
        QTest::addColumn<QString>("what");
        QTest::addColumn<QString>("reason");
        QTest::newRow("other subprotocol") << "subprotocol"
                                           << "what answers there does not speak signalbox.v1";
        QTest::newRow("no subprotocol") << "none"
                                        << "what answers there does not speak signalbox.v1";
        QTest::newRow("declined") << "decline"
                                  << "the agent declined with 400: use signalbox.v1";
        QTest::newRow("silent") << "silent"
                                << "no answer within 100 ms";
        QTest::newRow("other version")
            << "version"
            << "the agent speaks version 2 of the protocol, and this program version 1";
        QTest::newRow("hello without a group") << "hello"
                                               << "the agent's hello is malformed";
    }
    void a_peer_that_is_no_agent_is_reported() {
        QFETCH(QString, what);
        QFETCH(QString, reason);
        agent_ = std::make_unique<FakeAgent>(*io_, path_);
        FakeAgent::Manners& manners = agent_->manners;
        if (what == "subprotocol") manners.subprotocol = "signalbox.v2";
        if (what == "none") manners.subprotocol.clear();
        if (what == "decline") manners.decline_with = 400;
        if (what == "silent") manners.says_hello = false;
        if (what == "version") manners.hello["protocol"] = 2;
        if (what == "hello") manners.hello.erase("group");
        options_.connect_timeout = what == "silent" ? 100ms : 5000ms;
        start();
        QVERIFY2(comes_true([&] { return recorder_.reason().startsWith(reason); }),
                 qPrintable(recorder_.reason()));
        QVERIFY(recorder_.hellos.empty());
        QVERIFY(comes_true([&] { return agent_->upgrades >= 2; }));
    }

    void stopping_says_goodbye_and_answers_the_calls_under_way() {
        connect();
        agent_->answer = [](const json&) { return std::nullopt; };
        std::string error;
        session_->call("workers.list", {}, [&](const Reply& reply) { error = reply.error; });
        session_->stop();
        QCOMPARE(error, std::string("the session was closed"));
        QCOMPARE(recorder_.states.back(), State::closed);
        agent_.reset();
        io_->restart();
        io_->run_for(10s);
        QVERIFY(io_->stopped());  // nothing is left that could run
    }

    void a_session_can_be_destroyed_at_any_moment() {
        agent_ = std::make_unique<FakeAgent>(*io_, path_);
        options_.subscription = Subscription{};
        for (int steps = 0; steps < 40; ++steps) {
            start();
            session_->call("workers.list", {}, [](const Reply&) {});
            for (int i = 0; i < steps; ++i)
                io_->poll_one();
            session_.reset();
            const std::size_t states = recorder_.states.size();
            for (int i = 0; i < 200; ++i)
                io_->poll_one();
            QCOMPARE(recorder_.states.size(), states);
        }
        QVERIFY(!recorder_.hellos.empty());
    }

    void an_observer_may_destroy_the_session() {
        options_.subscription = Subscription{};
        connect();
        QVERIFY(comes_true([&] { return agent_->requests.size() == 1; }));
        recorder_.at_tick = [this] { session_.reset(); };
        agent_->send_binary(tick_frame(1, 1s));
        agent_->send_binary(tick_frame(2, 2s));
        QVERIFY(comes_true([&] { return !session_; }));
        agent_.reset();
        io_->run_for(10s);
        QVERIFY(io_->stopped());
        QCOMPARE(recorder_.ticks.size(), std::size_t{1});
    }

    void tls_with_a_client_certificate_connects() {
        Certificates certificates;
        certificates.make("operator");
        agent_ = std::make_unique<FakeAgent>(*io_, agent_tls(certificates));
        options_.url = Url::parse("tls://127.0.0.1:" + std::to_string(agent_->port()));
        options_.tls = {certificates.file("authority.pem"), certificates.file("operator.pem"),
                        certificates.file("operator.key")};
        start();
        QVERIFY2(comes_true([&] { return recorder_.hellos.size() == 1; }), qPrintable(recorder_.reason()));
        QVERIFY(answer_to("workers.list"));
    }

    void tls_problems_are_told_apart_data() {
        QTest::addColumn<QString>("agent_name");
        QTest::addColumn<QString>("what");
        QTest::addColumn<QString>("reason");
        QTest::newRow("another name") << "DNS:elsewhere"
                                      << ""
                                      << "the agent's certificate is not for '127.0.0.1'";
        QTest::newRow("another authority") << "IP:127.0.0.1"
                                           << "authority"
                                           << "the agent's certificate is not trusted: ";
        QTest::newRow("no certificate of ours") << "IP:127.0.0.1"
                                                << "certificate"
                                                << "the agent wants a client certificate that it trusts";
        QTest::newRow("no such file") << "IP:127.0.0.1"
                                      << "file"
                                      << "cannot use the certificate authority '/nonexistent.pem'";
    }
    void tls_problems_are_told_apart() {
        QFETCH(QString, agent_name);
        QFETCH(QString, what);
        QFETCH(QString, reason);
        Certificates certificates;
        Certificates others;
        certificates.make("server", {.alternative_name = agent_name});
        certificates.make("operator");
        agent_ = std::make_unique<FakeAgent>(*io_, agent_tls(certificates));
        options_.url = Url::parse("tls://127.0.0.1:" + std::to_string(agent_->port()));
        options_.tls = {certificates.file("authority.pem"), certificates.file("operator.pem"),
                        certificates.file("operator.key")};
        if (what == "authority") options_.tls.authority = others.file("authority.pem");
        if (what == "certificate") options_.tls.certificate.clear();
        if (what == "file") options_.tls.authority = "/nonexistent.pem";
        start();
        QVERIFY2(comes_true([&] { return recorder_.reason().startsWith(reason); }),
                 qPrintable(recorder_.reason()));
        QVERIFY(recorder_.hellos.empty());
    }

private:
    template <typename Condition>
    bool comes_true(Condition condition) {
        const auto limit = std::chrono::steady_clock::now() + 20s;
        while (!condition() && std::chrono::steady_clock::now() < limit) {
            io_->restart();
            io_->run_one_for(20ms);
        }
        return condition();
    }
    void start() {
        session_ = std::make_unique<Session>(*io_, options_, recorder_);
        session_->start();
    }
    void connect() {
        agent_ = std::make_unique<FakeAgent>(*io_, path_);
        start();
        QVERIFY2(comes_true([&] { return recorder_.hellos.size() == 1; }), qPrintable(recorder_.reason()));
    }
    Reply answer_to(const std::string& method) {
        std::optional<Reply> answer;
        session_->call(method, {}, [&](Reply reply) { answer = std::move(reply); });
        return comes_true([&] { return answer.has_value(); }) ? *answer : Reply{};
    }

    std::unique_ptr<boost::asio::io_context> io_;
    std::unique_ptr<QTemporaryDir> folder_;
    std::string path_;
    Options options_;
    Recorder recorder_;
    std::unique_ptr<FakeAgent> agent_;
    std::unique_ptr<Session> session_;
};

QTEST_GUILESS_MAIN(TestClientSession)
#include "test_client_session.moc"
