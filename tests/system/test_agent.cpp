// The agent may die at any time: no request notices, and whoever watches is back soon.
#include <signal.h>

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QtTest>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <thread>

#include "common/client/session.hpp"
#include "tests/system/running_group.hpp"

using namespace signalbox;
using tests::Load;
using tests::RunningGroup;

namespace {

struct Watcher : client::Observer {
    void on_hello(const client::Hello& hello) override {
        agent_pid = hello.agent_pid;
        ++hellos;
    }
    void on_tick(wire::Tick&&) override { ++ticks; }
    std::atomic<std::uint32_t> agent_pid{0};
    std::atomic<int> hellos{0};
    std::atomic<int> ticks{0};
};

}  // namespace

class TestAgent : public QObject {
    Q_OBJECT
private slots:
    void killing_the_agent_fails_no_request_and_clients_come_back();
    void its_socket_is_private_and_its_pages_are_served();
    void the_kernels_backlog_is_known();
    void the_command_line_tool_shows_and_acts();
};

void TestAgent::killing_the_agent_fails_no_request_and_clients_come_back() {
    RunningGroup group(2, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    Load load(group.url() + "/hello", {"--rate", "300", "--connections", "8", "--duration", "60"});
    Watcher watcher;
    boost::asio::io_context io;
    client::Options options;
    options.url = client::Url::parse(group.agent_url().toStdString());
    options.subscription = client::Subscription{};
    client::Session session(io, options, watcher);
    session.start();
    std::thread thread([&io] { io.run(); });
    for (int round = 0; round < 4; ++round) {
        const std::uint32_t agent = group.view().group().agent_pid;
        QTRY_VERIFY(watcher.agent_pid == agent && watcher.ticks > 0);
        ::kill(static_cast<pid_t>(agent), SIGKILL);
        QTRY_VERIFY(group.view().group().agent_pid != 0 && group.view().group().agent_pid != agent);
        watcher.ticks = 0;
    }
    QTRY_VERIFY(watcher.agent_pid == group.view().group().agent_pid && watcher.ticks > 0);
    QVERIFY(watcher.hellos >= 5);
    io.stop();
    thread.join();
    const QJsonObject summary = load.finish(true);
    QVERIFY2(summary["failed"].toInt(-1) == 0, QJsonDocument(summary).toJson());
    QVERIFY(group.all_ready(2));
    QCOMPARE(group.worker(0).generation, 1u);
    QCOMPARE(group.stop(), 0);
}

void TestAgent::its_socket_is_private_and_its_pages_are_served() {
    RunningGroup group(2, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    const auto permissions = QFile(group.agent_socket()).permissions();
    QVERIFY(!(permissions & (QFile::ReadGroup | QFile::WriteGroup | QFile::ReadOther | QFile::WriteOther)));
    for (const char* path : {"/", "/metrics", "/healthz"})
        QCOMPARE(QProcess::execute("curl", {"-fsS", "-o", "/dev/null", "--unix-socket", group.agent_socket(),
                                            QString("http://localhost") + path}),
                 0);
}

void TestAgent::the_kernels_backlog_is_known() {
    RunningGroup group(1, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    QProcess curl;
    curl.start("curl",
               {"-fsS", "--unix-socket", group.agent_socket(), "-d",
                R"({"jsonrpc": "2.0", "id": 1, "method": "listeners.list"})", "http://localhost/rpc"});
    curl.waitForFinished();
    const QJsonObject answer = QJsonDocument::fromJson(curl.readAllStandardOutput()).object();
    const QJsonObject listener = answer["result"].toObject()["listeners"].toArray().at(0).toObject();
    QCOMPARE("http://" + listener["address"].toString(), group.url());
    QVERIFY(listener["backlog"].isDouble());
    QCOMPARE(listener["backlog"].toInt(), 0);
}

void TestAgent::the_command_line_tool_shows_and_acts() {
    RunningGroup group(2, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    const auto ctl = [&](const QStringList& arguments) {
        QProcess process;
        process.start(tests::program("signalboxctl"), QStringList{group.agent_url()} + arguments);
        process.waitForFinished();
        return std::pair(process.exitCode(), QString::fromUtf8(process.readAll()) +
                                                 QString::fromUtf8(process.readAllStandardError()));
    };
    const std::uint64_t before = group.worker(1).generation;
    for (const char* command : {"status", "workers", "events"})
        QCOMPARE(ctl({command}).first, 0);
    const auto [status, said] = ctl({"cycle", "1"});
    QVERIFY2(status == 0, qPrintable(said));
    QVERIFY(group.worker(1).generation > before);
    QCOMPARE(ctl({"cycle", "77"}).first, 1);
    QCOMPARE(ctl({"dance"}).first, 2);
}

QTEST_GUILESS_MAIN(TestAgent)
#include "test_agent.moc"
