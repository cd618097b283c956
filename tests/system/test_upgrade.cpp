// The program replaced by a new version of itself: nothing is lost, and a bad one changes nothing.
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <QJsonDocument>
#include <QJsonObject>
#include <QtTest>

#include "tests/system/running_group.hpp"

using namespace signalbox;
using tests::Load;
using tests::RunningGroup;

class TestUpgrade : public QObject {
    Q_OBJECT
private slots:
    void an_upgrade_drops_no_request_and_no_count_data();
    void an_upgrade_drops_no_request_and_no_count();
    void sockets_of_slots_without_a_worker_are_handed_over();
    void what_operators_chose_stays();
    void the_pid_file_is_handed_over();
    void fifty_upgrades_in_a_row_leave_nothing_behind();
    void a_bad_program_changes_nothing_data();
    void a_bad_program_changes_nothing();
    void a_program_that_is_not_there_is_refused_data();
    void a_program_that_is_not_there_is_refused();
    void a_second_upgrade_is_refused_while_one_is_under_way();
    void a_group_that_stops_ends_the_upgrade();
    void a_new_arbiter_that_is_killed_changes_nothing();
    void an_arbiter_that_dies_in_the_middle_is_succeeded();
    void a_senseless_handover_is_named_data();
    void a_senseless_handover_is_named();
    void a_service_manager_is_told_who_is_in_charge();
};

namespace {

std::vector<std::string> texts(const RunningGroup& group, const std::string& name) {
    std::vector<std::string> all;
    for (const auto& event : group.events())
        if (event.name == name) all.push_back(event.text);
    return all;
}

/// "250ms (operator alice)"
QString setting(const RunningGroup& group, const std::string& name) {
    for (const telemetry::Setting& one : group.view().settings())
        if (one.name == name && one.value)
            return QString::fromStdString(one.value->text + " (" + one.value->origin + ")");
    return {};
}

struct Said {
    int status = -1;
    QByteArray text;
};

Said ctl(const RunningGroup& group, const QStringList& arguments) {
    QProcess process;
    process.setProcessChannelMode(QProcess::MergedChannels);
    process.start(tests::program("signalboxctl"), QStringList{group.agent_url()} + arguments);
    process.waitForFinished(60'000);
    return {process.exitCode(), process.readAll()};
}

bool answers(const RunningGroup& group) {
    return QProcess::execute("curl", {"-fsS", "-m", "10", "-o", "/dev/null", group.url() + "/hello"}) == 0;
}

/// False: the agent's socket refuses.
bool agent_accepts(const RunningGroup& group) {
    const int client = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    qstrncpy(address.sun_path, qPrintable(group.agent_socket()), sizeof address.sun_path);
    const bool connected =
        ::connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(client);
    return connected;
}

/// A program that does what the lines say; "$REAL" is the mailroom.
QString script(const RunningGroup& group, const QByteArray& lines) {
    const QString path = group.file("script");
    QFile file(path);
    if (file.open(QFile::WriteOnly))
        file.write("#!/bin/bash\nREAL=" + tests::program("mailroom").toLocal8Bit() + "\n" + lines + "\n");
    file.setPermissions(QFile::ReadOwner | QFile::WriteOwner | QFile::ExeOwner);
    return path;
}

QByteArray json(const QJsonObject& object) {
    return QJsonDocument(object).toJson();
}

}  // namespace

void TestUpgrade::an_upgrade_drops_no_request_and_no_count_data() {
    QTest::addColumn<QStringList>("options");
    QTest::addColumn<QStringList>("load");
    const QStringList fresh{"--new-connections"};
    QTest::newRow("new connections") << QStringList{} << fresh;
    QTest::newRow("kept connections") << QStringList{} << QStringList{"--connections", "16"};
    QTest::newRow("new connections, exclusive") << QStringList{"--accept", "exclusive"} << fresh;
    QTest::newRow("new connections, reuseport") << QStringList{"--accept", "reuseport"} << fresh;
}

void TestUpgrade::an_upgrade_drops_no_request_and_no_count() {
    QFETCH(QStringList, options);
    QFETCH(QStringList, load);
    RunningGroup group(3, QStringList{"--quiet"} + options);
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    Load clients(group.url() + "/hello", QStringList{"--rate", "300", "--duration", "100"} + load);
    QTRY_VERIFY(group.counters()["http_requests_total"] > 300);
    const std::uint64_t before = group.counters()["http_requests_total"];
    const pid_t old = group.arbiter();
    const Said said = ctl(group, {"upgrade"});
    QVERIFY2(said.status == 0, said.text.constData());
    QVERIFY(group.follow_upgrade());
    QVERIFY(group.arbiter() != old);
    const std::uint64_t after = group.counters()["http_requests_total"];
    QVERIFY2(after >= before, qPrintable(QString("%1 → %2").arg(before).arg(after)));
    QTRY_VERIFY(group.counters()["http_requests_total"] > after + 200);
    QTRY_VERIFY(!texts(group, "upgrade_finished").empty());
    QVERIFY(QFile::exists(group.segment() + ".previous") && !QFile::exists(group.segment() + ".upgrade"));
    const QJsonObject summary = clients.finish(true);
    QVERIFY2(summary["failed"].toInt(-1) == 0, json(summary));
    // Each was counted by one of both groups, before it was answered.
    QTRY_COMPARE(static_cast<double>(group.counters()["http_requests_total"]),
                 summary["requests"].toDouble());
    QVERIFY(group.all_ready(3));
    QCOMPARE(group.stop(), 0);
}

/// A slot that has been given up still has a socket to which the kernel gives connections.
void TestUpgrade::sockets_of_slots_without_a_worker_are_handed_over() {
    RunningGroup group(5, {"--quiet", "--accept", "reuseport", "--max-workers", "6"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    QCOMPARE(ctl(group, {"scale", "2"}).status, 0);
    QTRY_VERIFY_WITH_TIMEOUT(group.all_ready(2), 60'000);
    Load clients(group.url() + "/hello", {"--rate", "300", "--duration", "100", "--new-connections"});
    QTRY_VERIFY(group.counters()["http_requests_total"] > 300);
    QCOMPARE(ctl(group, {"upgrade"}).status, 0);
    QVERIFY(group.follow_upgrade());
    QTRY_VERIFY(!texts(group, "upgrade_finished").empty());
    const std::uint64_t after = group.counters()["http_requests_total"];
    QTRY_VERIFY(group.counters()["http_requests_total"] > after + 300);
    const QJsonObject summary = clients.finish(true);
    QVERIFY2(summary["failed"].toInt(-1) == 0, json(summary));
    QCOMPARE(group.stop(), 0);
}

void TestUpgrade::what_operators_chose_stays() {
    RunningGroup group(2, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    QCOMPARE(ctl(group, {"set", "spin_threshold", "250ms"}).status, 0);
    QCOMPARE(ctl(group, {"scale", "3"}).status, 0);
    QTRY_VERIFY(group.all_ready(3));
    for (int upgrade = 0; upgrade < 2; ++upgrade) {  // it is the second one's business, too
        QCOMPARE(ctl(group, {"upgrade"}).status, 0);
        QVERIFY(group.follow_upgrade());
        QTRY_VERIFY(!texts(group, "upgrade_finished").empty());
        QVERIFY(group.all_ready(3));
        QVERIFY2(setting(group, "spin_threshold").startsWith("250ms (operator "),
                 qPrintable(setting(group, "spin_threshold")));
        QVERIFY2(setting(group, "workers").startsWith("3 (operator "), qPrintable(setting(group, "workers")));
        QVERIFY(!setting(group, "drain_deadline").contains("operator"));
        QCOMPARE(texts(group, "choices_kept").size(), 1u);
    }
    QCOMPARE(group.stop(), 0);
}

void TestUpgrade::the_pid_file_is_handed_over() {
    QTemporaryDir directory;
    const QString path = directory.filePath("pid");
    const auto contents = [&] {
        QFile file(path);
        return file.open(QFile::ReadOnly) ? file.readAll() : QByteArray("none");
    };
    RunningGroup group(1, {"--quiet", "--pid-file", path});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    QCOMPARE(contents(), QByteArray::number(group.arbiter()) + '\n');
    for (int round = 0; round < 2; ++round) {
        ::kill(contents().toInt(), SIGUSR2);
        QVERIFY2(group.follow_upgrade(), group.log());
        QCOMPARE(contents(), QByteArray::number(group.arbiter()) + '\n');
        // Nobody else gets it.
        QProcess other;
        other.start(tests::program("mailroom"),
                    {"--listen", "127.0.0.1:0", "--anonymous-segment", "--pid-file", path});
        QVERIFY(other.waitForFinished());
        QVERIFY(other.readAllStandardError().contains("belongs to process " +
                                                      QByteArray::number(group.arbiter())));
        QTRY_VERIFY(!texts(group, "upgrade_finished").empty());
    }
    QCOMPARE(group.stop(), 0);
    QVERIFY(!QFile::exists(path));
}

void TestUpgrade::fifty_upgrades_in_a_row_leave_nothing_behind() {
    RunningGroup group(2, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    Load clients(group.url() + "/hello",
                 {"--rate", "200", "--duration", "170", "--connections", "4", "--new-connections"});
    QTRY_VERIFY(group.counters()["http_requests_total"] > 100);
    std::uint64_t counted = 0;
    bool refused = false;
    int files = 0;
    std::uint64_t memory = 0;
    for (int number = 1; number <= 50; ++number) {
        ::kill(group.arbiter(), SIGUSR2);
        QVERIFY2(group.follow_upgrade([&] { refused = refused || !agent_accepts(group); }), group.log());
        const std::uint64_t total = group.counters()["http_requests_total"];
        QVERIFY2(total >= counted, "a total fell");
        counted = total;
        QTRY_VERIFY(group.view().group().agent_pid != 0 && !texts(group, "upgrade_finished").empty());
        if (number == 5) {
            files = tests::open_files(group.arbiter());
            memory = tests::resident_bytes(group.arbiter());
        }
    }
    QVERIFY2(!refused, "the agent's address refused a connection");
    QCOMPARE(tests::open_files(group.arbiter()), files);
    QVERIFY(tests::resident_bytes(group.arbiter()) < memory + 4 * 1024 * 1024);
    QCOMPARE(group.processes(), 4);  // arbiter, agent, workers
    const QJsonObject summary = clients.finish(true);
    QVERIFY2(summary["failed"].toInt(-1) == 0, json(summary));
    QTRY_COMPARE(static_cast<double>(group.counters()["http_requests_total"]),
                 summary["requests"].toDouble());
    QCOMPARE(group.stop(), 0);
}

void TestUpgrade::a_bad_program_changes_nothing_data() {
    QTest::addColumn<QByteArray>("lines");
    QTest::addColumn<QString>("reason");
    QTest::newRow("exits")
        << QByteArray("echo one >&2; echo 'no such thing' >&2; exit 78")
        << "it ended before it was ready: exit status 78 (EX_CONFIG); its last words: no such thing";
    QTest::newRow("is killed") << QByteArray("kill -9 $$")
                               << "it ended before it was ready: signal 9 (SIGKILL)";
    QTest::newRow("is never ready") << QByteArray("exec sleep 600")
                                    << "it was not ready within 1[0-9]{3} ms \\(upgrade_deadline\\)";
    QTest::newRow("ignores SIGTERM") << QByteArray("trap '' TERM; exec sleep 600")
                                     << "it was not ready within";
    QTest::newRow("garbage") << QByteArray("printf garbage >&$SIGNALBOX_UPGRADE; exec sleep 600")
                             << "it sent 7 bytes that are no record of an upgrade";
    QTest::newRow("zeros") << QByteArray("head -c 2384 /dev/zero >&$SIGNALBOX_UPGRADE; exec sleep 600")
                           << "it sent a record that is none of an upgrade";
    QTest::newRow("cannot be executed")
        << QByteArray() << "it ended before it was ready|Exec format error|No such file";
    QTest::newRow("a wrong option") << QByteArray("exec $REAL --no-such-option")
                                    << "exit status 64 \\(EX_USAGE\\)";
    QTest::newRow("cannot bind")
        << QByteArray("exec $REAL --listen 192.0.2.1:80")
        << "exit status 71 \\(EX_OSERR\\); its last words: mailroom: 192.0.2.1:80: Cannot assign";
}

void TestUpgrade::a_bad_program_changes_nothing() {
    QFETCH(QByteArray, lines);
    QFETCH(QString, reason);
    RunningGroup group(2, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    QCOMPARE(ctl(group, {"set", "upgrade_deadline", "1s"}).status, 0);
    const pid_t arbiter = group.arbiter();
    const wire::Worker before = group.worker(0);
    const int files = tests::open_files(arbiter);
    const auto agent = group.view().group().agent_pid;
    QString path = script(group, lines);
    if (lines.isEmpty()) {
        QFile file(path);
        QVERIFY(file.open(QFile::WriteOnly));
        file.write(
            "\x7f"
            "ELF, but not really");
        file.setPermissions(QFile::ReadOwner | QFile::ExeOwner);
    }
    group.set_program(path);
    const Said said = ctl(group, {"upgrade"});
    QVERIFY2(said.status == 1, said.text.constData());
    if (!reason.contains('\\') && !reason.contains('|')) reason = QRegularExpression::escape(reason);
    QVERIFY2(QString(said.text).contains(QRegularExpression(reason)), said.text.constData());
    QCOMPARE(texts(group, "upgrade_failed").size(), 1u);
    QVERIFY(answers(group));
    QCOMPARE(group.worker(0).pid, before.pid);
    QCOMPARE(group.view().group().agent_pid, agent);
    QTRY_COMPARE(tests::open_files(arbiter), files);
    QTRY_COMPARE(group.processes(), 4);
    // And the next one, which is good, takes over.
    group.set_program(tests::program("mailroom"));
    QCOMPARE(ctl(group, {"upgrade"}).status, 0);
    QVERIFY(group.follow_upgrade());
    QVERIFY(answers(group));
    QCOMPARE(group.stop(), 0);
}

void TestUpgrade::a_program_that_is_not_there_is_refused_data() {
    QTest::addColumn<QString>("target");
    QTest::addColumn<QString>("reason");
    QTest::newRow("missing") << ""
                             << "mailroom: No such file or directory.";
    QTest::newRow("a directory") << "/tmp"
                                 << "mailroom is no file.";
    QTest::newRow("not executable") << "/etc/passwd"
                                    << "mailroom is not executable.";
}

void TestUpgrade::a_program_that_is_not_there_is_refused() {
    QFETCH(QString, target);
    QFETCH(QString, reason);
    RunningGroup group(1, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    group.set_program(target);
    const Said said = ctl(group, {"upgrade"});
    QCOMPARE(said.status, 1);
    QVERIFY2(said.text.contains("The new version cannot be started: ") && said.text.contains(reason.toUtf8()),
             said.text.constData());
    ::kill(group.arbiter(), SIGUSR2);
    QTRY_COMPARE(texts(group, "command_refused").size(), 2u);
    QVERIFY(QString::fromStdString(texts(group, "command_refused")[1]).endsWith(reason + " (SIGUSR2)"));
    QVERIFY(answers(group));
}

void TestUpgrade::a_second_upgrade_is_refused_while_one_is_under_way() {
    RunningGroup group(1, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    group.set_program(script(
        group, "until [ -e " + group.file("go").toUtf8() + " ]; do sleep 0.02; done; exec $REAL \"$@\""));
    QCOMPARE(ctl(group, {"upgrade", "--no-wait"}).status, 0);
    const Said second = ctl(group, {"upgrade"});
    QCOMPARE(second.status, 1);
    QVERIFY2(second.text.contains("An upgrade is under way: process "), second.text.constData());
    QFile go(group.file("go"));
    QVERIFY(go.open(QFile::WriteOnly));
    QVERIFY(group.follow_upgrade());
    QVERIFY(answers(group));
    QCOMPARE(group.stop(), 0);
}

void TestUpgrade::a_group_that_stops_ends_the_upgrade() {
    RunningGroup group(1, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    group.set_program(script(group, "exec sleep 600"));
    QCOMPARE(ctl(group, {"upgrade", "--no-wait"}).status, 0);
    QCOMPARE(group.stop(), 0);
    QVERIFY2(texts(group, "upgrade_failed").size() == 1 &&
                 texts(group, "upgrade_failed")[0].ends_with("the group stops."),
             group.log());
    QCOMPARE(group.processes(), 0);
}

void TestUpgrade::a_new_arbiter_that_is_killed_changes_nothing() {
    RunningGroup group(2, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    group.set_program(script(group, "exec $REAL \"$@\" --slow-start 600s"));
    QCOMPARE(ctl(group, {"upgrade", "--no-wait"}).status, 0);
    const std::string upgrade = group.segment().toStdString() + ".upgrade";
    const auto fresh = [&]() -> pid_t {
        try {
            const telemetry::SegmentView view(upgrade);
            return view.workers().size() == 2 ? static_cast<pid_t>(view.group().arbiter_pid) : 0;
        } catch (const telemetry::SegmentError&) {
            return 0;
        }
    };
    QTRY_VERIFY(fresh() > 0);
    QVERIFY(fresh() != group.arbiter());
    ::kill(fresh(), SIGKILL);
    QTRY_COMPARE(texts(group, "upgrade_failed").size(), 1u);
    QVERIFY2(texts(group, "upgrade_failed")[0].find("ended before it was ready: signal 9 (SIGKILL)") !=
                 std::string::npos,
             texts(group, "upgrade_failed")[0].c_str());
    QVERIFY(answers(group));
    QTRY_COMPARE(group.processes(), 4);  // its workers have noticed
    QCOMPARE(group.stop(), 0);
}

void TestUpgrade::an_arbiter_that_dies_in_the_middle_is_succeeded() {
    RunningGroup group(2, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    for (int i = 0; i < 10; ++i)
        QVERIFY(answers(group));
    group.set_program(script(
        group, "until [ -e " + group.file("go").toUtf8() + " ]; do sleep 0.02; done; exec $REAL \"$@\""));
    QCOMPARE(ctl(group, {"upgrade", "--no-wait"}).status, 0);
    ::kill(group.arbiter(), SIGKILL);
    QFile go(group.file("go"));
    QVERIFY(go.open(QFile::WriteOnly));
    QVERIFY(group.follow_upgrade());
    QTRY_VERIFY(group.all_ready(2));
    QVERIFY(answers(group));
    QVERIFY(texts(group, "upgrade_taken_over")[0].ends_with("since the arbiter before it has died."));
    QTRY_VERIFY(!texts(group, "upgrade_finished").empty());
    QCOMPARE(group.counters()["http_requests_total"], 11u);
    QTRY_COMPARE(group.processes(), 4);
    QCOMPARE(group.stop(), 0);
}

void TestUpgrade::a_senseless_handover_is_named_data() {
    QTest::addColumn<QString>("value");
    QTest::addColumn<QByteArray>("reason");
    QTest::newRow("a word") << "seven" << QByteArray("SIGNALBOX_UPGRADE=seven names no descriptor");
    QTest::newRow("closed") << "987" << QByteArray("SIGNALBOX_UPGRADE=987 names no descriptor");
    QTest::newRow("no socket") << "0" << QByteArray("has handed over only a part");
}

void TestUpgrade::a_senseless_handover_is_named() {
    QFETCH(QString, value);
    QFETCH(QByteArray, reason);
    QProcess process;
    QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
    environment.insert("SIGNALBOX_UPGRADE", value);
    process.setProcessEnvironment(environment);
    process.start(tests::program("mailroom"), {"--listen", "127.0.0.1:0", "--anonymous-segment"});
    QVERIFY(process.waitForFinished());
    QCOMPARE(process.exitCode(), 71);
    const QByteArray said = process.readAllStandardError();
    QVERIFY2(said.contains(reason), said);
}

void TestUpgrade::a_service_manager_is_told_who_is_in_charge() {
    QTemporaryDir directory;
    const QByteArray path = directory.filePath("notify").toLocal8Bit();
    const int manager = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    qstrncpy(address.sun_path, path.constData(), sizeof address.sun_path);
    QCOMPARE(::bind(manager, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    QByteArrayList heard;
    const auto hear = [&]() -> const QByteArrayList& {
        char message[4096];
        for (ssize_t length; (length = ::recv(manager, message, sizeof message, 0)) > 0;)
            if (!QByteArray(message, static_cast<int>(length)).startsWith("STATUS="))
                heard << QByteArray(message, static_cast<int>(length));
        return heard;
    };
    qputenv("NOTIFY_SOCKET", path);
    RunningGroup group(1, {"--quiet"});
    qunsetenv("NOTIFY_SOCKET");
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    QTRY_COMPARE(hear(), QByteArrayList{"READY=1"});
    group.set_program(script(group, "exit 78"));
    QCOMPARE(ctl(group, {"upgrade"}).status, 1);
    QTRY_COMPARE(hear().size(), 3);
    QVERIFY2(heard[1].startsWith("RELOADING=1\nMONOTONIC_USEC="), heard[1]);
    QCOMPARE(heard[2], QByteArray("READY=1"));
    group.set_program(tests::program("mailroom"));
    QCOMPARE(ctl(group, {"upgrade"}).status, 0);
    QVERIFY(group.follow_upgrade());
    const QByteArray main = "MAINPID=" + QByteArray::number(group.arbiter());
    QTRY_COMPARE(hear().size(), 7);
    QCOMPARE(heard.mid(4), (QByteArrayList{main, main, "READY=1"}));
    QCOMPARE(group.stop(), 0);
    QVERIFY2(hear().last().startsWith("STOPPING=1"), heard.last());
    ::close(manager);
}

QTEST_GUILESS_MAIN(TestUpgrade)
#include "test_upgrade.moc"
