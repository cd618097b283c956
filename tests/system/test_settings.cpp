// A tunable changed through the agent holds at once, in every worker, and in those that come later.
#include <signal.h>
#include <unistd.h>

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QtTest>
#include <thread>

#include "tests/support/certificates.hpp"
#include "tests/system/running_group.hpp"

using namespace signalbox;
using tests::RawClient;
using tests::RunningGroup;

namespace {

QJsonObject rpc(const QStringList& where, const QByteArray& method, const QJsonObject& params = {}) {
    QProcess curl;
    const QJsonObject request{{"jsonrpc", "2.0"}, {"id", 1}, {"method", QString(method)}, {"params", params}};
    curl.start("curl", QStringList{"-sS", "-d", QJsonDocument(request).toJson()} + where);
    curl.waitForFinished();
    return QJsonDocument::fromJson(curl.readAllStandardOutput()).object();
}

/// Over the agent's unix socket, as its own user: an operator.
QJsonObject rpc(const RunningGroup& group, const QByteArray& method, const QJsonObject& params = {}) {
    return rpc({"--unix-socket", group.agent_socket(), "http://localhost/rpc"}, method, params);
}

QJsonObject set(const RunningGroup& group, const char* name, const char* value) {
    return rpc(group, "set", {{"name", name}, {"value", value}});
}

QJsonObject setting(const RunningGroup& group, const char* name) {
    for (const QJsonValue& each : rpc(group, "settings")["result"].toObject()["settings"].toArray())
        if (each.toObject()["name"] == name) return each.toObject();
    return {};
}

const char* const kDeadline = "listener_0_queue_deadline";

/// What a client is answered whose connection waits for two seconds because the event loop is busy.
QByteArray answer_after_a_long_wait(const RunningGroup& group) {
    const auto is_blocked = [&] {
        return group.worker(0).activity.find("/misbehave/block") != std::string::npos;
    };
    for (int attempt = 0; attempt < 20; ++attempt) {
        RawClient blocking(group, tests::request("POST /misbehave/block?milliseconds=2000"));
        // On a busy machine it may be the one that has waited too long.
        while (!is_blocked() && !blocking.has_ended())
            std::this_thread::yield();
        RawClient waiting(group, tests::request("GET /hello"));
        while (is_blocked() && group.worker(0).queues.at(0).depth == 0)
            std::this_thread::yield();
        if (is_blocked()) return waiting.status();
    }
    return "it never waited";
}

}  // namespace

class TestSettings : public QObject {
    Q_OBJECT
private slots:
    void a_changed_deadline_sheds_at_once_and_in_replacements_too();
    void what_a_group_is_and_how_it_is_set_up_can_be_read();
    void out_of_range_is_refused_with_the_range();
    void a_viewer_may_read_but_not_set();
    void the_command_line_tool_lists_and_sets();
};

void TestSettings::a_changed_deadline_sheds_at_once_and_in_replacements_too() {
    RunningGroup group(1, {"--quiet", "--queue-deadline", "60s"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    QCOMPARE(answer_after_a_long_wait(group), QByteArray("200"));

    const QJsonObject result = set(group, kDeadline, "400ms")["result"].toObject();
    QCOMPARE(result["message"].toString(), QString("%1: 60s before, 400ms now").arg(kDeadline));
    QCOMPARE(answer_after_a_long_wait(group), QByteArray("503"));
    QCOMPARE(group.worker(0).generation, 1u);  // the same worker

    const pid_t before = static_cast<pid_t>(group.worker(0).pid);
    ::kill(before, SIGKILL);
    QTRY_VERIFY_WITH_TIMEOUT(group.all_ready(1) && group.worker(0).generation == 2, 30'000);
    QCOMPARE(answer_after_a_long_wait(group), QByteArray("503"));
    QCOMPARE(setting(group, kDeadline)["value"].toString(), QString("400ms"));

    QVERIFY(set(group, kDeadline, "1min").contains("result"));
    QCOMPARE(answer_after_a_long_wait(group), QByteArray("200"));
    QCOMPARE(setting(group, kDeadline)["changes"].toInt(), 2);

    const auto events = group.events();
    const auto changed = std::find_if(events.begin(), events.end(),
                                      [](const auto& event) { return event.name == "setting_changed"; });
    QVERIFY(changed != events.end());
    QCOMPARE(QString::fromStdString(changed->text),
             QString("%1: 60s before, 400ms now, set by operator uid %2.").arg(kDeadline).arg(::getuid()));
    QCOMPARE(group.stop(), 0);
}

void TestSettings::what_a_group_is_and_how_it_is_set_up_can_be_read() {
    qputenv("SIGNALBOX_TEST_PASSWORD", "hunter2");
    RunningGroup group(2, {"--quiet", "--drain-deadline", "3s", "--memory-limit", "2GiB"});
    qunsetenv("SIGNALBOX_TEST_PASSWORD");
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    const auto row = [&](const char* name) {
        const QJsonObject found = setting(group, name);
        return found["kind"].toString() + " " + found["value"].toString() + " from " +
               found["origin"].toString();
    };
    QCOMPARE(row("drain_deadline"), QString("tunable 3s from command line"));
    QCOMPARE(row("start_deadline"), QString("tunable 30s from default"));
    QCOMPARE(row("worker_memory_limit"), QString("tunable 2GiB from command line"));
    QCOMPARE(row(kDeadline), QString("tunable 5s from default"));
    QCOMPARE(row("workers"), QString("setting 2 from default"));
    QCOMPARE("http://" + setting(group, "listener_0_address")["value"].toString(), group.url());
    QCOMPARE(row("environment.SIGNALBOX_TEST_PASSWORD"), QString("fact (redacted) from environment"));
    QVERIFY(row("executable").endsWith("/mailroom from process"));
    QVERIFY(row("command_line").contains("--drain-deadline 3s"));
    rpc(group, "group.scale", {{"workers", 3}});
    QCOMPARE(row("workers"), QString("setting 3 from operator uid %1").arg(::getuid()));

    // The arbiter's own: one tunable that it reads itself.
    const std::uint64_t generation = group.worker(0).generation;
    QVERIFY(set(group, "worker_memory_limit", "1MiB").contains("result"));
    QTRY_VERIFY_WITH_TIMEOUT(group.worker(0).generation > generation, 30'000);
    set(group, "worker_memory_limit", "0");
}

void TestSettings::out_of_range_is_refused_with_the_range() {
    RunningGroup group(1, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    const auto refusal = [&](const char* name, const char* value) {
        return set(group, name, value)["error"].toObject()["message"].toString();
    };
    QCOMPARE(refusal("drain_deadline", "25h"), QString("drain_deadline: '25h' is above its maximum of 24h"));
    QCOMPARE(refusal(kDeadline, "0s"), QString("%1: '0s' is below its minimum of 1ms").arg(kDeadline));
    QVERIFY(refusal("drain_deadline", "soon").startsWith("drain_deadline: 'soon' is not a duration; try "));
    QCOMPARE(refusal("workers", "7"), QString("workers cannot be changed while the group runs"));
    QCOMPARE(refusal("swiftness", "7"), QString("there is no setting 'swiftness'"));
    QCOMPARE(setting(group, "drain_deadline")["value"].toString(), QString("10s"));
    QCOMPARE(setting(group, "drain_deadline")["changes"].toInt(), 0);
}

void TestSettings::a_viewer_may_read_but_not_set() {
    Certificates certificates;
    certificates.make("bob");
    const auto file = [&](const char* name) { return QString::fromStdString(certificates.file(name)); };
    RunningGroup group(
        1, {"--quiet", "--agent-tls", "127.0.0.1:0", "--agent-cert", file("server.pem"), "--agent-key",
            file("server.key"), "--agent-client-ca", file("authority.pem"), "--agent-operator", "alice"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    const QString address = setting(group, "agent_tls_address")["value"].toString();
    const QStringList as_bob =
        certificates.trust() + certificates.client("bob") + QStringList{"https://" + address + "/rpc"};

    QVERIFY(rpc(as_bob, "settings")["result"].toObject()["settings"].toArray().size() > 10);
    const QJsonObject error =
        rpc(as_bob, "set", {{"name", "drain_deadline"}, {"value", "1s"}})["error"].toObject();
    QCOMPARE(error["code"].toInt(), -32001);
    QCOMPARE(error["message"].toString(), QString("bob may look, but not act (set drain_deadline)"));
    QCOMPARE(setting(group, "drain_deadline")["value"].toString(), QString("10s"));
}

void TestSettings::the_command_line_tool_lists_and_sets() {
    RunningGroup group(1, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    const auto ctl = [&](const QStringList& arguments) {
        QProcess process;
        process.start(tests::program("signalboxctl"), QStringList{group.agent_url()} + arguments);
        process.waitForFinished();
        return std::pair(process.exitCode(), QString::fromUtf8(process.readAllStandardOutput()) +
                                                 QString::fromUtf8(process.readAllStandardError()));
    };
    const auto [set_status, set_said] = ctl({"set", "drain_deadline", "2.5s"});
    QCOMPARE(set_said, QString("drain_deadline: 10s before, 2.5s now\n"));
    QCOMPARE(set_status, 0);
    const auto [status, said] = ctl({"settings"});
    QCOMPARE(status, 0);
    QVERIFY2(said.simplified().contains("drain_deadline tunable 2.5s operator uid"), qPrintable(said));
    QVERIFY(!said.contains("environment."));
    const auto [refused, why] = ctl({"set", "drain_deadline", "25h"});
    QCOMPARE(refused, 1);
    QCOMPARE(why, QString("signalboxctl: drain_deadline: '25h' is above its maximum of 24h\n"));
}

QTEST_GUILESS_MAIN(TestSettings)
#include "test_settings.moc"
