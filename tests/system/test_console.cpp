// The console on a real group: what a person sees and does.
#include <signal.h>

#include <QAbstractItemModel>
#include <QtTest>

#include "console/models/worker_model.hpp"
#include "tests/console/window_driver.hpp"
#include "tests/system/running_group.hpp"

using namespace signalbox;
using console::WorkerModel;
using tests::Load;
using tests::RunningGroup;

namespace {

/// What the table shows of the worker in slot `slot`.
QString cell(QAbstractItemModel& workers, int slot, WorkerModel::Column column) {
    for (int row = 0; row < workers.rowCount(); ++row)
        if (workers.index(row, WorkerModel::Slot).data().toString() == QString::number(slot))
            return workers.index(row, column).data().toString();
    return {};
}

}  // namespace

class TestConsole : public QObject {
    Q_OBJECT
private Q_SLOTS:
    void cycling_a_worker_from_the_window_changes_its_pid();
    void the_console_reconnects_when_the_agent_was_killed();
    void a_stopped_worker_is_shown_as_stalled();
};

void TestConsole::cycling_a_worker_from_the_window_changes_its_pid() {
    RunningGroup group(2, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    Load load(group.url(),
              {"--scenario", "mailroom", "--rate", "100", "--connections", "4", "--duration", "60"});
    test::WindowDriver driver;
    QVERIFY(driver.connectTo(group.agent_url()));
    QTRY_COMPARE(driver.workers().rowCount(), 2);
    const QString before = cell(driver.workers(), 1, WorkerModel::Pid);
    QCOMPARE(before, QString::number(group.worker(1).pid));

    QVERIFY(driver.selectSlot(1));
    QVERIFY(driver.trigger("cycleWorkerAction"));
    QVERIFY(driver.dialog() != nullptr);
    driver.acceptDialog();
    QVERIFY(!driver.waitForOutcome().isEmpty());
    QTRY_VERIFY_WITH_TIMEOUT(
        driver.workers().rowCount() == 2 && cell(driver.workers(), 1, WorkerModel::Pid) != before, 30'000);
    QCOMPARE(cell(driver.workers(), 1, WorkerModel::Pid), QString::number(group.worker(1).pid));
    QTRY_VERIFY(driver.hasEvent("worker_exited"));
}

void TestConsole::the_console_reconnects_when_the_agent_was_killed() {
    RunningGroup group(2, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    test::WindowDriver driver;
    QVERIFY(driver.connectTo(group.agent_url()));
    ::kill(static_cast<pid_t>(group.view().group().agent_pid), SIGKILL);
    QTRY_VERIFY(driver.hasEvent("agent_died"));
    QTRY_VERIFY(driver.connectionBanner().isEmpty());
    QCOMPARE(driver.workers().rowCount(), 2);
}

void TestConsole::a_stopped_worker_is_shown_as_stalled() {
    RunningGroup group(2, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    test::WindowDriver driver;
    QVERIFY(driver.connectTo(group.agent_url()));
    QTRY_COMPARE(driver.workers().rowCount(), 2);
    ::kill(static_cast<pid_t>(group.worker(0).pid), SIGSTOP);
    QTRY_COMPARE(cell(driver.workers(), 0, WorkerModel::State).toLower(), QString("stalled"));
    ::kill(static_cast<pid_t>(group.worker(0).pid), SIGCONT);
    QTRY_COMPARE(cell(driver.workers(), 0, WorkerModel::State).toLower(), QString("ready"));
}

QTEST_MAIN(TestConsole)
#include "test_console.moc"
