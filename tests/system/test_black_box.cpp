// A group that is killed whole, under load and in the middle of a request: its segment tells what it was at.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <QDir>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QUrl>
#include <QtTest>
#include <optional>

#include "tests/system/running_group.hpp"

using namespace signalbox;
using tests::Load;
using tests::RunningGroup;

namespace {

struct Inspection {
    int status = -1;
    QByteArray out;
};

Inspection inspect(const QStringList& arguments) {
    QProcess process;
    process.start(tests::program("signalbox-inspect"), arguments);
    process.waitForFinished();
    return {process.exitStatus() == QProcess::NormalExit ? process.exitCode() : -1,
            process.readAllStandardOutput() + process.readAllStandardError()};
}

QJsonObject report(const QString& segment) {
    return QJsonDocument::fromJson(inspect({segment, "--json", "--workers", "--events", "all"}).out).object();
}

QJsonObject worker(const QJsonObject& report, std::uint32_t pid) {
    for (const auto& worker : report["workers"].toArray())
        if (worker.toObject()["pid"].toInteger() == pid) return worker.toObject();
    return {};
}

double total(const QJsonObject& report, const QString& name) {
    double sum = 0;
    for (const auto& figure : report["figures"].toArray())
        if (figure.toObject()["name"].toString() == name) sum += figure.toObject()["total"].toDouble();
    return sum;
}

QJsonObject figure(const QJsonObject& report, const QString& name) {
    for (const auto& figure : report["figures"].toArray())
        if (figure.toObject()["name"].toString() == name) return figure.toObject();
    return {};
}

bool has_event(const QJsonObject& report, const QString& name) {
    for (const auto& event : report["events"].toArray())
        if (event.toObject()["name"].toString() == name) return true;
    return false;
}

/// Has had an answer, and keeps its connection.
class QuietClient {
public:
    explicit QuietClient(int server_port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(server_port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const std::string_view request = "GET /quiet HTTP/1.1\r\nHost: x\r\n\r\n";
        char answer = 0;
        socklen_t size = sizeof address;
        if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), size) == 0 &&
            ::send(socket_, request.data(), request.size(), MSG_NOSIGNAL) > 0 &&
            ::recv(socket_, &answer, 1, 0) == 1 &&
            ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0)
            port_ = ntohs(address.sin_port);
    }
    ~QuietClient() { ::close(socket_); }
    QuietClient(const QuietClient&) = delete;
    QuietClient& operator=(const QuietClient&) = delete;

    int port() const { return port_; }  ///< its own; 0: it got no answer

private:
    int socket_;
    int port_ = 0;
};

}  // namespace

class TestBlackBox : public QObject {
    Q_OBJECT
private slots:
    void a_group_killed_whole_tells_what_it_was_at();
    void a_live_group_is_found_by_any_of_its_processes();
    void a_crash_names_the_guilty_function_and_the_request();
    void open_connections_are_listed_with_what_they_are_at();
};

void TestBlackBox::a_group_killed_whole_tells_what_it_was_at() {
    RunningGroup group(3, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    Load load(group.url(),
              {"--scenario", "mailroom", "--rate", "300", "--connections", "8", "--duration", "60"});
    QTRY_VERIFY(group.counters()["http_requests_total"] > 300);
    QProcess client;
    client.start("curl", {"-s", "-m", "60", "-X", "POST", group.url() + "/misbehave/spin?seconds=60"});
    const auto spinning = [&] {
        for (const wire::Worker& worker : group.view().workers())
            if (worker.state == wire::WorkerState::stalled) return worker.pid;
        return 0u;
    };
    QTRY_VERIFY(spinning() != 0);
    const auto said_so = [&] {
        for (const auto& event : group.events())
            if (event.name == "worker_stalled") return true;
        return false;
    };
    QTRY_VERIFY(said_so());
    const std::uint32_t spinner = spinning();
    const auto before = group.view().workers();
    const auto arbiter = group.arbiter();
    const auto agent = group.view().group().agent_pid;

    group.kill_whole();
    const QJsonObject summary = load.finish(true);
    client.kill();
    client.waitForFinished();

    const QJsonObject seen = report(group.segment());
    QCOMPARE(seen["group"].toString(), QString("mailroom"));
    QVERIFY(!seen["alive"].toBool(true));
    QCOMPARE(seen["arbiter"].toObject()["pid"].toInteger(), arbiter);
    QCOMPARE(seen["agent"].toObject()["pid"].toInteger(), agent);
    QCOMPARE(seen["workers"].toArray().size(), 3);
    for (const wire::Worker& known : before) {
        const QJsonObject found = worker(seen, known.pid);
        QVERIFY(!found["alive"].toBool(true));
        QCOMPARE(found["state"].toString(), QString(known.pid == spinner ? "stalled" : "ready"));
        QVERIFY(found["requests"].toDouble() >= static_cast<double>(known.requests));
        QVERIFY(!found["figures"].toArray().isEmpty());
    }
    QVERIFY(worker(seen, spinner)["activity"].toString().startsWith("POST /misbehave/spin from "));
    QVERIFY(worker(seen, spinner)["activity_age_seconds"].toDouble() > 0);

    // A request is counted before its answer is sent.
    const double answered = summary["requests"].toDouble() - summary["failed"].toDouble();
    QVERIFY(answered > 300);
    QVERIFY2(total(seen, "http_requests_total") >= answered,
             qPrintable(QString("%1 < %2").arg(total(seen, "http_requests_total")).arg(answered)));
    const QJsonObject latency = figure(seen, "http_request_duration_seconds");
    QVERIFY(latency["count"].toDouble() >= answered);
    QVERIFY(latency["p50"].toDouble() > 0 && latency["p50"].toDouble() <= latency["p999"].toDouble());
    QVERIFY(has_event(seen, "worker_ready"));
    QVERIFY(has_event(seen, "worker_stalled"));

    const Inspection verdict = inspect({group.segment(), "--verify"});
    QVERIFY2(verdict.status == 0, verdict.out.constData());
    const Inspection text = inspect({group.segment()});
    QVERIFY2(text.out.startsWith("mailroom: this group is dead; last sign of life 20"), text.out.constData());
}

void TestBlackBox::a_live_group_is_found_by_any_of_its_processes() {
    RunningGroup group(2, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    for (const auto pid :
         {static_cast<std::uint32_t>(group.arbiter()), group.view().group().agent_pid, group.worker(1).pid}) {
        const Inspection found = inspect({"--pid", QString::number(pid), "--json"});
        QVERIFY2(found.status == 0, found.out.constData());
        const QJsonObject seen = QJsonDocument::fromJson(found.out).object();
        QVERIFY(seen["alive"].toBool());
        QCOMPARE(seen["workers"].toArray().size(), 2);
        QVERIFY(worker(seen, group.worker(1).pid)["alive"].toBool());
        const Inspection verdict = inspect({"--pid", QString::number(pid), "--verify"});
        QVERIFY2(verdict.status == 0, verdict.out.constData());
    }
    QCOMPARE(group.stop(), 0);
}

void TestBlackBox::a_crash_names_the_guilty_function_and_the_request() {
    RunningGroup group(2, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    QProcess client;
    client.start("curl", {"-s", "-m", "20", "-X", "POST", group.url() + "/misbehave/crash"});
    QVERIFY(client.waitForFinished());
    const auto said = [&] {
        std::string text;
        for (const auto& event : group.events())
            if (event.name == "worker_crashed") text = event.text;
        return text;
    };
    QTRY_VERIFY(!said().empty());
    QVERIFY2(said().find("SIGSEGV at 0xdead: mailroom+0x") != std::string::npos, said().c_str());
    QTRY_VERIFY(group.all_ready(2));

    const auto check = [](const QJsonObject& seen) {
        const QJsonArray crashes = seen["crashes"].toArray();
        QCOMPARE(crashes.size(), 1);
        const QJsonObject crash = crashes[0].toObject();
        QCOMPARE(crash["signal"].toString(), QString("SIGSEGV"));
        QCOMPARE(crash["address"].toInteger(), 0xdead);
        QVERIFY(crash["activity"].toString().startsWith("POST /misbehave/crash from 127.0.0.1:"));
        const QJsonObject innermost = crash["stack"].toArray()[0].toObject();
        QCOMPARE(innermost["module"].toString(), QString("mailroom"));
        QVERIFY2(innermost["function"].toString().endsWith("::crash"),
                 qPrintable(innermost["text"].toString()));
        QVERIFY(innermost["source"].toString().endsWith("misbehaviour.cpp"));
        bool handled = false;
        for (const auto& frame : crash["stack"].toArray())
            handled = handled || frame.toObject()["function"].toString().contains("HttpConnection");
        QVERIFY(handled);
    };
    check(report(group.segment()));
    group.kill_whole();
    check(report(group.segment()));  // the black box keeps it
    const Inspection text = inspect({group.segment()});
    QVERIFY2(text.out.contains("::crash+0x"), text.out.constData());
}

void TestBlackBox::open_connections_are_listed_with_what_they_are_at() {
    RunningGroup group(1, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    // Two that keep their connection alive, and one whose request is under way.
    std::optional<QuietClient> first(QUrl(group.url()).port());
    const QuietClient second(QUrl(group.url()).port());
    QVERIFY(first->port() != 0 && second.port() != 0);
    QProcess sleeper;
    sleeper.start("curl",
                  {"-s", "-m", "60", "-X", "POST", group.url() + "/misbehave/sleep?milliseconds=60000"});
    const auto listed = [&] {
        QStringList seen;
        for (const auto& value :
             worker(report(group.segment()), group.worker(0).pid)["connection_list"].toArray()) {
            const QJsonObject connection = value.toObject();
            seen << connection["state"].toString() + ' ' + connection["last_request"].toString();
        }
        seen.sort();
        return seen;
    };
    QTRY_COMPARE(listed(),
                 QStringList({"handling POST /misbehave/sleep", "idle GET /quiet", "idle GET /quiet"}));
    const QByteArray port = QByteArray::number(first->port());
    const Inspection text = inspect({group.segment()});
    QVERIFY2(text.out.contains("127.0.0.1:" + port), text.out.constData());

    QProcess ctl;
    ctl.start(tests::program("signalboxctl"), {group.agent_url(), "connections", "0"});
    QVERIFY(ctl.waitForFinished());
    const QByteArray table = ctl.readAllStandardOutput();
    QVERIFY2(table.contains("127.0.0.1:" + port) && table.contains("POST /misbehave/sleep"),
             table.constData());

    first.reset();
    QTRY_COMPARE(listed(), QStringList({"handling POST /misbehave/sleep", "idle GET /quiet"}));
    sleeper.kill();
    sleeper.waitForFinished();
}

QTEST_GUILESS_MAIN(TestBlackBox)
#include "test_black_box.moc"
