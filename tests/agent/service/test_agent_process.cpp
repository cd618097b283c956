// The whole agent as a child process: talked to by curl and by a WebSocket client; the test is its arbiter.
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <QTest>
#include <cstring>
#include <nlohmann/json.hpp>

#include "common/wire/messages.hpp"
#include "tests/agent/service/agent_child.hpp"
#include "tests/agent/service/fake_group.hpp"
#include "tests/agent/service/stream_client.hpp"
#include "tests/support/certificates.hpp"

using namespace signalbox;
using nlohmann::json;

namespace {

json request(const char* method, json params = json::object(), int id = 1) {
    return {{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", std::move(params)}};
}

/// The answer, and in a line of its own its status.
std::string curl(const AgentChild& agent, const QString& target, QStringList more = {}) {
    return curl(QStringList{"--unix-socket", QString::fromStdString(agent.socket_path()), "-w",
                            "\n%{http_code}"} +
                more + QStringList{"http://localhost" + target})
        .out.toStdString();
}

std::string post_rpc(const AgentChild& agent, const json& body) {
    return curl(QStringList{"--unix-socket", QString::fromStdString(agent.socket_path()), "-d",
                            QString::fromStdString(body.dump()), "http://localhost/rpc"})
        .out.toStdString();
}

}  // namespace

class TestAgentProcess : public QObject {
    Q_OBJECT
private slots:
    void says_hello_first();
    void streams_ticks_that_add_up_to_the_totals();
    void a_client_that_reconnects_gets_the_ticks_it_missed();
    void an_unknown_subprotocol_is_refused_with_the_supported_one();
    void pages_are_served_to_curl();
    void what_does_not_exist_is_404_or_405();
    void a_command_reaches_the_arbiter_and_its_answer_the_client();
    void a_command_over_http_waits_for_the_arbiter();
    void sigterm_ends_it_with_0();
    void the_arbiters_end_ends_it_with_0();
    void a_file_that_is_no_segment_is_refused();
    void other_users_are_turned_away();
    void scripts_of_other_sites_are_refused();
};

void TestAgentProcess::says_hello_first() {
    FakeGroup group("mailroom");
    AgentChild agent(group.segment().descriptor());
    StreamClient client(agent.socket_path());
    const json hello = client.receive_json();
    QVERIFY(hello["method"] == "hello");
    QVERIFY(hello["params"]["protocol"] == 1);
    QVERIFY(hello["params"]["group"] == "mailroom");
    QVERIFY(hello["params"]["arbiter_pid"] == 4242);
    QVERIFY(hello["params"]["agent_pid"] == agent.pid());
    QVERIFY(hello["params"]["may_act"] == true);
    QCOMPARE(hello["params"]["boot_id"].get<std::string>().size(), 32u);
}

void TestAgentProcess::streams_ticks_that_add_up_to_the_totals() {
    FakeGroup group;
    Counter letters(group.telemetry, "letters_total", "Letters");
    const std::uint64_t generation = group.start_worker(0);
    group.in_worker(0, [&] { letters.add(7); });
    AgentChild agent(group.segment().descriptor());
    StreamClient client(agent.socket_path());
    client.receive_json();
    client.send(request("telemetry.subscribe", {{"period_ms", 100}}));
    const json reply = client.receive_json();
    QVERIFY(reply["id"] == 1);
    QVERIFY(reply["result"]["granularity"] == "worker");
    QVERIFY(reply["result"]["scale"] == 5);

    const auto directory = client.receive_next<wire::Directory>();
    QCOMPARE(directory.instruments.size(), 1u);
    QCOMPARE(directory.instruments[0].name, "letters_total");
    const auto absolute = client.receive_next<wire::Tick>();
    QVERIFY(absolute.absolute);
    QCOMPARE(absolute.number, reply["result"]["tick"].get<std::uint64_t>());
    QCOMPARE(absolute.workers.at(0).generation, generation);
    QCOMPARE(std::get<wire::CounterDelta>(absolute.series.at(0).samples.at(0).value).increase, 7u);

    group.in_worker(0, [&] { letters.add(5); });
    std::uint64_t change = 0;
    std::uint64_t number = absolute.number;
    while (change == 0) {
        const auto tick = client.receive_next<wire::Tick>();
        QVERIFY(!tick.absolute);
        QCOMPARE(tick.number, ++number);
        for (const wire::Sample& sample : tick.series.at(0).samples)
            change += std::get<wire::CounterDelta>(sample.value).increase;
    }
    QCOMPARE(change, 5u);
}

void TestAgentProcess::a_client_that_reconnects_gets_the_ticks_it_missed() {
    FakeGroup group;
    AgentChild agent(group.segment().descriptor());
    wire::Tick last;
    {
        StreamClient client(agent.socket_path());
        client.send(request("telemetry.subscribe"));
        last = client.receive_next<wire::Tick>();
        while (last.absolute)
            last = client.receive_next<wire::Tick>();
    }
    StreamClient meanwhile(agent.socket_path());
    meanwhile.send(request("telemetry.subscribe"));
    while (meanwhile.receive_next<wire::Tick>().number < last.number + 2) {
    }
    StreamClient client(agent.socket_path());
    client.send(request("telemetry.subscribe", {{"since_ns", last.end.time_since_epoch().count()}}));
    const std::uint64_t newest = [&] {
        for (;;)
            if (const json reply = client.receive_json(); reply.contains("result"))
                return reply["result"]["tick"].get<std::uint64_t>();
    }();
    for (std::uint64_t number = last.number + 1; number <= newest; ++number) {
        const auto tick = client.receive_next<wire::Tick>();
        QVERIFY(!tick.absolute);
        QCOMPARE(tick.number, number);
    }
    const auto absolute = client.receive_next<wire::Tick>();
    QVERIFY(absolute.absolute);
    QCOMPARE(absolute.number, newest);
    QCOMPARE(client.receive_next<wire::Tick>().number, newest + 1);
}

void TestAgentProcess::an_unknown_subprotocol_is_refused_with_the_supported_one() {
    FakeGroup group;
    AgentChild agent(group.segment().descriptor());
    for (const char* protocol : {"", "signalbox.v99"}) {
        try {
            StreamClient client(agent.socket_path(), protocol);
            QFAIL("the agent took it");
        } catch (const std::runtime_error& error) {
            QCOMPARE(QString(error.what()), "400");
        }
    }
    StreamClient client(agent.socket_path(), "signalbox.v99, signalbox.v1");
    QVERIFY(client.receive_json()["method"] == "hello");
}

void TestAgentProcess::pages_are_served_to_curl() {
    FakeGroup group("mailroom");
    group.start_worker(0);
    AgentChild agent(group.segment().descriptor());
    QVERIFY(curl(agent, "/").find("<h1>mailroom</h1>") != std::string::npos);
    QVERIFY(curl(agent, "/?x=1").ends_with("\n200"));
    QVERIFY(curl(agent, "/metrics").find("signalbox_workers{state=\"ready\"} 1") != std::string::npos);
    QCOMPARE(curl(agent, "/healthz"), "ok\n\n200");
    QVERIFY(curl(agent, "/healthz", {"-I"}).find("Content-Length: 3") != std::string::npos);
}

void TestAgentProcess::what_does_not_exist_is_404_or_405() {
    FakeGroup group;
    AgentChild agent(group.segment().descriptor());
    QVERIFY(curl(agent, "/nothing").ends_with("\n404"));
    QVERIFY(curl(agent, "/../etc/passwd", {"--path-as-is"}).ends_with("\n404"));
    QVERIFY(curl(agent, "/metrics", {"-X", "DELETE"}).ends_with("\n405"));
    QVERIFY(curl(agent, "/rpc").ends_with("\n405"));
    QVERIFY(curl(agent, "/stream").ends_with("\n426"));
    QVERIFY(curl(agent, "/healthz", {"-H", "Transfer-Encoding: gzip", "-H", "Content-Length: 0"})
                .ends_with("\n400"));
}

void TestAgentProcess::a_command_reaches_the_arbiter_and_its_answer_the_client() {
    FakeGroup group;
    AgentChild agent(group.segment().descriptor());
    StreamClient client(agent.socket_path());
    client.receive_json();
    client.send(request("worker.cycle", {{"slot", 2}, {"generation", 17}}, 5));
    const auto command = agent.next_command();
    QVERIFY(command);
    QCOMPARE(command->operation, supervisor::Operation::cycle_worker);
    QCOMPARE(command->slot, 2u);
    QCOMPARE(command->generation, 17u);
    QCOMPARE(QString(command->principal), QString("uid %1").arg(::getuid()));

    supervisor::Answer answer;
    answer.id = command->id;
    answer.outcome = supervisor::Outcome::stale;
    std::strcpy(answer.text, "Slot 2 has generation 18 now.");
    agent.answer(answer);
    const json reply = client.receive_json();
    QVERIFY(reply["id"] == 5);
    QVERIFY(reply["error"]["code"] == -32002);
    QVERIFY(reply["error"]["message"] == "Slot 2 has generation 18 now.");
}

void TestAgentProcess::a_command_over_http_waits_for_the_arbiter() {
    FakeGroup group;
    AgentChild agent(group.segment().descriptor());
    const json silent = json::parse(post_rpc(agent, request("group.cycle")));
    QVERIFY(silent["error"]["code"] == -32004);
    QVERIFY(agent.next_command());
}

void TestAgentProcess::sigterm_ends_it_with_0() {
    FakeGroup group;
    AgentChild agent(group.segment().descriptor());
    StreamClient client(agent.socket_path());
    client.receive_json();
    client.send(request("telemetry.subscribe", {{"period_ms", 100}}));
    client.receive_next<wire::Tick>();
    ::kill(agent.pid(), SIGTERM);
    QCOMPARE(agent.wait(), 0);
}

void TestAgentProcess::the_arbiters_end_ends_it_with_0() {
    FakeGroup group;
    AgentChild agent(group.segment().descriptor());
    StreamClient client(agent.socket_path());
    client.receive_json();
    client.send(request("group.cycle"));
    QVERIFY(agent.next_command());
    agent.hang_up();
    QCOMPARE(agent.wait(), 0);
}

void TestAgentProcess::a_file_that_is_no_segment_is_refused() {
    const int file = ::memfd_create("nonsense", MFD_CLOEXEC);
    QCOMPARE(::ftruncate(file, 1 << 20), 0);
    AgentChild agent(file);
    QCOMPARE(agent.wait(), EX_DATAERR);
    ::close(file);
}

void TestAgentProcess::other_users_are_turned_away() {
    if (::getuid() != 0) QSKIP("only root can be somebody else");
    FakeGroup group;
    AgentChild agent(group.segment().descriptor());
    const QString path = QString::fromStdString(agent.socket_path());
    ::chmod(agent.socket_path().c_str(), 0666);
    ::chmod(path.left(path.lastIndexOf('/')).toUtf8(), 0755);
    const ProgramOutput stranger =
        run_program("setpriv", {"--reuid=65534", "--regid=65534", "--clear-groups", "curl", "-sS",
                                "--unix-socket", path, "http://localhost/healthz"});
    QVERIFY2(stranger.status != 0, stranger.all.constData());
    QVERIFY(!stranger.all.contains("ok"));
    QVERIFY(curl(agent, "/healthz").starts_with("ok"));
}

void TestAgentProcess::scripts_of_other_sites_are_refused() {
    FakeGroup group;
    AgentChild agent(group.segment().descriptor());
    const QString body = QString::fromStdString(request("workers.list").dump());
    QVERIFY(curl(agent, "/rpc", {"-d", body, "-H", "Origin: https://evil.example"}).ends_with("\n403"));
    QVERIFY(curl(agent, "/rpc", {"-d", body, "-H", "Origin: http://localhost"}).ends_with("\n200"));
}

QTEST_GUILESS_MAIN(TestAgentProcess)
#include "test_agent_process.moc"
