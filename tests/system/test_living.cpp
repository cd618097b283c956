// Workers that have had enough, cycles taken back, stuck loops and inherited sockets, with a real server under load.
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <QJsonDocument>
#include <QJsonObject>
#include <QtTest>

#include "tests/system/running_group.hpp"

using namespace signalbox;
using tests::Load;
using tests::RunningGroup;

class TestLiving : public QObject {
    Q_OBJECT
private slots:
    void a_request_limit_set_under_load_drops_no_request();
    void a_draining_worker_is_kept_under_load();
    void a_spinning_worker_is_replaced_and_its_stack_kept();
    void an_inherited_socket_is_served();
    void usr1_makes_the_workers_open_their_log_again();
};

namespace {

void verify_no_failure(Load& load) {
    const QJsonObject summary = load.finish(true);
    QVERIFY2(summary["failed"].toInt(-1) == 0, QJsonDocument(summary).toJson());
    QVERIFY(summary["requests"].toInt() > 100);
}

}  // namespace

void TestLiving::a_request_limit_set_under_load_drops_no_request() {
    RunningGroup group(3, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    Load load(group.url() + "/hello", {"--rate", "300", "--duration", "100", "--new-connections"});
    QTRY_VERIFY(group.counters()["http_requests_total"] > 100);
    QCOMPARE(group.ctl({"set", "worker_request_limit", "200"}), 0);
    QTRY_VERIFY_WITH_TIMEOUT(group.count("worker_exited") >= 4, 60'000);
    const QString text = group.text_of("request_limit");
    QVERIFY2(text.contains(QRegularExpression("is cycled: [0-9,]+ requests, limit 2[0-2][0-9]\\.$")),
             qPrintable(text));
    verify_no_failure(load);
}

void TestLiving::a_draining_worker_is_kept_under_load() {
    RunningGroup group(1, {"--quiet", "--drain-deadline", "100s"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    const wire::Worker before = group.worker(0);
    // Something that it cannot finish soon, so that it drains for long enough.
    QProcess patient;
    patient.start("curl",
                  {"-s", "-m", "100", "-X", "POST", group.url() + "/misbehave/sleep?milliseconds=60000"});
    QTRY_VERIFY(group.worker(0).connections == 1);
    Load load(group.url() + "/hello", {"--rate", "200", "--duration", "100", "--new-connections"});
    const auto state = [&](std::uint64_t generation) {
        for (const wire::Worker& worker : group.view().workers())
            if (worker.generation == generation) return worker.state;
        return wire::WorkerState::dead;
    };
    QCOMPARE(group.ctl({"cycle", "0", "--no-wait"}), 0);
    QTRY_VERIFY(state(before.generation) == wire::WorkerState::draining);
    const std::uint64_t answered = [&] {
        for (const wire::Worker& worker : group.view().workers())
            if (worker.generation == before.generation) return worker.requests;
        return std::uint64_t{0};
    }();
    QTRY_VERIFY(group.count("worker_draining") == 1);
    QCOMPARE(group.ctl({"keep", "0"}), 0);
    QTRY_VERIFY(group.all_ready(1) && group.worker(0).generation == before.generation);
    // It accepts again.
    QTRY_VERIFY(group.worker(0).requests > answered + 200);
    QCOMPARE(group.worker(0).pid, before.pid);
    QCOMPARE(group.count("worker_kept"), 1);
    verify_no_failure(load);
    QVERIFY2(patient.state() == QProcess::Running, "the request that was under way was cut");
    patient.kill();
    patient.waitForFinished();
}

void TestLiving::a_spinning_worker_is_replaced_and_its_stack_kept() {
    RunningGroup group(2, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    QCOMPARE(group.ctl({"set", "wedge_timeout", "2s"}), 0);
    QProcess client;
    client.start("curl", {"-s", "-m", "60", "-X", "POST", group.url() + "/misbehave/spin?seconds=600"});
    QTRY_VERIFY(group.count("long_spin") >= 1);
    bool found = false;
    for (const auto& event : group.events())
        found =
            found || (event.name == "long_spin" && event.text.find("/misbehave/spin") != std::string::npos &&
                      event.text.find("mailroom+0x") != std::string::npos);
    QVERIFY2(found, qPrintable(group.text_of("long_spin")));
    QTRY_COMPARE_WITH_TIMEOUT(group.view().crashes().size(), 1u, 30'000);
    QTRY_VERIFY(group.all_ready(2));
    QVERIFY(group.text_of("worker_wedged").contains("(wedge_timeout). It is replaced."));
    // Readers give the stack its names.
    QProcess inspect;
    inspect.start(tests::program("signalbox-inspect"), {group.segment()});
    inspect.waitForFinished();
    const QByteArray report = inspect.readAllStandardOutput();
    QVERIFY2(report.contains("SIGABRT") && report.contains("spin"), report);
    client.kill();
    client.waitForFinished();
}

void TestLiving::an_inherited_socket_is_served() {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    QCOMPARE(::bind(socket, reinterpret_cast<const sockaddr*>(&address), size), 0);
    QCOMPARE(::listen(socket, 16), 0);
    ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
    const QString where = QString("127.0.0.1:%1").arg(ntohs(address.sin_port));

    // Nobody else could bind there: this process listens.
    QProcess server;
    server.setChildProcessModifier([socket] { ::dup2(socket, 3); });
    server.start("sh", {"-c", "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web exec \"$0\" \"$@\"",
                        tests::program("mailroom"), "--listen", where, "--workers", "2", "--quiet",
                        "--anonymous-segment"});
    QTRY_VERIFY(server.waitForReadyRead(100) || server.bytesAvailable() > 0);
    QCOMPARE(QString::fromUtf8(server.readAllStandardOutput()), "listening on " + where + "\n");
    ::close(socket);
    for (int request = 0; request < 5; ++request)
        QCOMPARE(
            QProcess::execute("curl", {"-fsS", "-m", "20", "-o", "/dev/null", "http://" + where + "/hello"}),
            0);
    server.terminate();
    QVERIFY(server.waitForFinished());
    QCOMPARE(server.exitCode(), 0);
}

void TestLiving::usr1_makes_the_workers_open_their_log_again() {
    QTemporaryDir directory;
    const QString log = directory.filePath("log.jsonl");
    RunningGroup group(2, {"--quiet", "--log", log});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    QFile::remove(log);
    ::kill(group.arbiter(), SIGUSR1);
    QTRY_VERIFY(QFile::exists(log));
    QVERIFY(group.all_ready(2));
    QCOMPARE(group.worker(0).generation, 1u);
}

QTEST_GUILESS_MAIN(TestLiving)
#include "test_living.moc"
