// Exit reasons are named as an operator knows them.
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <QtTest>

#include "agent/supervisor/exit_reason.hpp"

using namespace signalbox::supervisor;

class TestExitReason : public QObject {
    Q_OBJECT
private slots:
    void reasons_are_named_data();
    void reasons_are_named();
};

void TestExitReason::reasons_are_named_data() {
    QTest::addColumn<int>("signal");
    QTest::addColumn<int>("status");
    QTest::addColumn<QString>("text");
    QTest::addColumn<bool>("fault");
    QTest::newRow("orderly") << 0 << 0 << "exit status 0" << false;
    QTest::newRow("plain failure") << 0 << 1 << "exit status 1" << true;
    QTest::newRow("configuration") << 0 << EX_CONFIG << "exit status 78 (EX_CONFIG)" << true;
    QTest::newRow("killed") << SIGKILL << 0 << "signal 9 (SIGKILL)" << false;
    QTest::newRow("terminated") << SIGTERM << 0 << "signal 15 (SIGTERM)" << false;
    QTest::newRow("segmentation fault") << SIGSEGV << 0 << "signal 11 (SIGSEGV)" << true;
}

void TestExitReason::reasons_are_named() {
    QFETCH(int, signal);
    QFETCH(int, status);
    QFETCH(QString, text);
    QFETCH(bool, fault);
    const pid_t child = fork();
    if (child == 0) {
        const rlimit no_core{0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        if (signal != 0) {
            ::signal(signal, SIG_DFL);
            raise(signal);
        }
        _exit(status);
    }
    int wait_status = 0;
    waitpid(child, &wait_status, 0);
    QCOMPARE(QString::fromStdString(describe_exit(wait_status)), text);
    QCOMPARE(is_own_fault(wait_status), fault);
}

QTEST_GUILESS_MAIN(TestExitReason)
#include "test_exit_reason.moc"
