// A group that is killed whole, under load and in the middle of a request: its segment tells what it was at.
#include <QDir>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QtTest>

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

}  // namespace

class TestBlackBox : public QObject {
    Q_OBJECT
private slots:
    void a_group_killed_whole_tells_what_it_was_at();
    void a_live_group_is_found_by_any_of_its_processes();
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

QTEST_GUILESS_MAIN(TestBlackBox)
#include "test_black_box.moc"
