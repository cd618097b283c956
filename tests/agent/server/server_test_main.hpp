// QTEST_GUILESS_MAIN for tests that fork workers.
//
// QtTest starts a watchdog thread before the first test function, unless a debugger is attached (6.4 has no
// other switch). The thread sanitizer looks away from everything in a process that was forked while there
// were several threads, and refuses it threads of its own. So under that sanitizer, and only there, the test
// runs as the tracee of a parent that does nothing else: no watchdog, and the workers are fully checked.
#pragma once

#include <QCoreApplication>
#include <QTest>

/// Runs `test`, its exit status is returned.
int run_without_watchdog(int argc, char** argv, int (*test)(int argc, char** argv));

template <class Test>
int run_server_test(int argc, char** argv) {
    return run_without_watchdog(argc, argv, [](int count, char** arguments) {
        const QCoreApplication application(count, arguments);
        Test test;
        return QTest::qExec(&test, count, arguments);
    });
}

#define SERVER_TEST_MAIN(Test)                    \
    int main(int argc, char** argv) {             \
        return run_server_test<Test>(argc, argv); \
    }
