// A worker that runs is told of a tunable's change.
#include <sys/mman.h>

#include <QTest>
#include <atomic>
#include <new>

#include "agent/telemetry/settings.hpp"
#include "server_test_main.hpp"
#include "signalbox/context.hpp"
#include "worker_process.hpp"

using namespace signalbox;

class TunablesTest : public QObject {
    Q_OBJECT
private slots:
    void a_change_reaches_the_callback_in_every_worker();
};

void TunablesTest::a_change_reaches_the_callback_in_every_worker() {
    void* shared = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    QVERIFY(shared != MAP_FAILED);
    auto* told = new (shared) std::atomic<std::int64_t>(0);  // by all workers together

    WorkerProcesses workers(test_router());
    Context context(workers.telemetry());
    const Tunable<std::int64_t> depth(context, "depth", 1, {.min = 1, .max = 100});
    depth.on_change(workers.telemetry(), [told](std::int64_t value) { *told += value; });
    workers.start(0);
    workers.start(2);
    const telemetry::Change change = telemetry::change_tunable(
        workers.telemetry().segment(), 0, detail::SettingType::integer, 7, "operator alice");
    QCOMPARE(change.refusal, std::string());
    QTRY_COMPARE(told->load(), 14);
    workers.start(1);  // it comes later, and is told too
    QTRY_COMPARE(told->load(), 21);
    for (const unsigned seat : {0u, 1u, 2u})
        QCOMPARE(workers.stop(seat), 0);
    QCOMPARE(told->load(), 21);
    ::munmap(shared, 4096);
}

SERVER_TEST_MAIN(TunablesTest)
#include "test_tunables.moc"
