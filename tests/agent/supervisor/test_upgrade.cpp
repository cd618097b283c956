// New programs that lie to the arbiter which has started them. This test is that program as well: with --play.
#include <unistd.h>

#include <QCoreApplication>
#include <QtTest>

#include "agent/supervisor/handover.hpp"
#include "tests/agent/supervisor/running_arbiter.hpp"

using namespace signalbox;
using namespace signalbox::tests;

class TestUpgrade : public QObject {
    Q_OBJECT
private slots:
    void a_liar_does_not_take_over_data();
    void a_liar_does_not_take_over();
    void an_arbiter_without_a_program_refuses();
};

namespace {

[[noreturn]] void play(const std::string& part) {
    const int socket = atoi(getenv(std::string(kHandoverVariable).c_str()));
    const auto say = [socket](Note note, const std::vector<int>& descriptors = {}) {
        HandoverRecord record;
        record.note = note;
        send_record(socket, record, descriptors);
    };
    if (part == "ready at once") say(Note::ready);
    if (part == "twice running") {
        say(Note::running);
        say(Note::running);
    }
    if (part == "takes over itself") say(Note::take_over);
    if (part == "another version") {
        HandoverRecord record;
        record.version = 77;
        ::send(socket, &record, sizeof record, 0);
    }
    if (part == "with descriptors") say(Note::running, {0, 1, 2});
    if (part == "ready and dies") {
        say(Note::running);
        say(Note::ready);
        _exit(75);
    }
    if (part == "ready and closes") {
        say(Note::running);
        say(Note::ready);
        close(socket);
    }
    for (;;)
        pause();
}

ArbiterConfig with_program(const std::string& part, CommandLine& commands) {
    ArbiterConfig config = with_workers(1);
    // It takes its time to end, and only then is the group handed over: the liar is gone by then.
    config.agent = [agent = commands.agent()](int arbiter) {
        ::signal(SIGTERM, SIG_IGN);
        return agent(arbiter);
    };
    config.upgrade.program = {.path = QCoreApplication::applicationFilePath().toStdString(),
                              .arguments = {"test", "--play", part},
                              .environment = {},
                              .directory = "/"};
    config.upgrade.deadline = 1s;
    return config;
}

int descriptors_of(pid_t pid) {
    return static_cast<int>(QDir(QString("/proc/%1/fd").arg(pid))
                                .entryList(QDir::NoDotAndDotDot | QDir::AllEntries | QDir::System)
                                .size());
}

}  // namespace

void TestUpgrade::a_liar_does_not_take_over_data() {
    QTest::addColumn<QString>("why");
    QTest::newRow("ready at once") << "it sent a note (7) that is not its turn.";
    QTest::newRow("twice running") << "it sent a note (6) that is not its turn.";
    QTest::newRow("takes over itself") << "it sent a note (8) that is not its turn.";
    QTest::newRow("another version") << "it sent a record of version 77, and this program speaks 1.";
    QTest::newRow("with descriptors") << "(upgrade_deadline).";
    QTest::newRow("ready and dies") << ".";
    QTest::newRow("ready and closes") << "";
}

void TestUpgrade::a_liar_does_not_take_over() {
    QFETCH(QString, why);
    CommandLine commands;
    Running group(with_program(QTest::currentDataTag(), commands));
    QTRY_VERIFY(group.all_ready(1) && group.view().group().agent_pid != 0);
    const int descriptors = descriptors_of(group.pid());
    QVERIFY(commands.ask({.operation = Operation::upgrade}).outcome == Outcome::accepted);
    QTRY_COMPARE_WITH_TIMEOUT(group.count("upgrade_failed"), 1, 20'000);
    const QString said = QString::fromStdString(group.last_text("upgrade_failed"));
    QVERIFY2(said.endsWith(why), qPrintable(said));
    // The agent may have ended for it: another one serves.
    QTRY_VERIFY(group.view().group().agent_pid != 0);
    QTRY_COMPARE(descriptors_of(group.pid()), descriptors);
    QVERIFY(commands.ask({.operation = Operation::scale, .workers = 2}).outcome == Outcome::accepted);
    QTRY_VERIFY(group.all_ready(2));
    QVERIFY(group.count("group_stopping") == 0);
}

void TestUpgrade::an_arbiter_without_a_program_refuses() {
    CommandLine commands;
    ArbiterConfig config = with_workers(1);
    config.agent = commands.agent();
    Running group(config);
    QTRY_VERIFY(group.all_ready(1));
    const Answer answer = commands.ask({.operation = Operation::upgrade});
    QVERIFY(answer.outcome == Outcome::refused);
    QCOMPARE(QString(answer.text),
             QString("The new version cannot be started: it is not known how this program was started."));
}

int main(int argc, char** argv) {
    if (argc == 3 && std::string_view(argv[1]) == "--play") play(argv[2]);
    QCoreApplication application(argc, argv);
    TestUpgrade test;
    return QTest::qExec(&test, argc, argv);
}
#include "test_upgrade.moc"
