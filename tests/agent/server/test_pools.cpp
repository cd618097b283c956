// Calls in pools: what they return, where they run, what happens when there are too many or nobody waits any more.
#define QT_NO_EMIT  // Asio has a function of that name
#include <signal.h>

#include <QtTest>
#include <barrier>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/system/system_error.hpp>
#include <latch>
#include <thread>

#include "signalbox/pools.hpp"
#include "tests/agent/telemetry/totals.hpp"

using namespace signalbox;
namespace asio = boost::asio;

class TestPools : public QObject {
    Q_OBJECT
private slots:
    void a_call_returns_what_the_function_returned_in_another_thread();
    void an_exception_arrives_where_the_call_was_made();
    void nothing_and_what_can_only_be_moved_may_be_returned();
    void calls_run_at_the_same_time_up_to_the_number_of_threads();
    void a_full_queue_refuses_by_name_and_takes_calls_again_later();
    void a_call_from_the_pool_runs_in_place();
    void a_computation_that_is_short_runs_in_place();
    void cancelling_takes_a_waiting_call_out_of_the_queue();
    void cancelling_asks_a_running_function_to_stop_and_waits_for_it();
    void waits_and_runs_are_measured_by_function();
    void no_signal_is_delivered_to_a_thread_of_a_pool();
    void options_out_of_range_are_refused_by_name_data();
    void options_out_of_range_are_refused_by_name();
};

namespace {

struct Fixture {
    explicit Fixture(PoolOptions options = {.io_threads = 2, .cpu_threads = 2, .queue_capacity = 3})
        : pools(telemetry, options) {
        tests::occupy(telemetry, 0, 1);
        telemetry.attach(0);
    }

    /// Runs one coroutine to its end and returns what it returned or throws what it threw.
    template <class T>
    T run(awaitable<T> work) {
        std::optional<T> result;
        std::exception_ptr error;
        asio::co_spawn(io, std::move(work), [&](std::exception_ptr thrown, T value) {
            error = thrown;
            result = std::move(value);
        });
        io.restart();
        io.run();
        if (error) std::rethrow_exception(error);
        return std::move(*result);
    }

    asio::io_context io;
    Telemetry telemetry{{.group = "test", .max_workers = 1}};
    telemetry::SegmentView view{telemetry.segment().descriptor()};
    tests::Totals totals{view};
    Pools pools;
};

/// Opens once.
class Gate {
public:
    void wait() { open_.wait(false); }
    void open() {
        open_ = true;
        open_.notify_all();
    }

private:
    std::atomic<bool> open_{false};
};

/// What became of a call that a test does not wait for.
struct Fate {
    bool ended = false;
    std::exception_ptr error;
};

template <class Slotted = asio::cancellation_slot>
void spawn(Fixture& f, awaitable<void> work, Fate& fate, Slotted slot = {}) {
    asio::co_spawn(f.io, std::move(work),
                   asio::bind_cancellation_slot(slot, [&fate](std::exception_ptr error) {
                       fate = {true, error};
                   }));
}

awaitable<void> wait_at(Pools& pools, Gate& gate, std::atomic<int>& inside) {
    auto wait = [&gate, &inside] {
        ++inside;
        gate.wait();
    };
    co_await pools.io_bound("wait", wait);
}

bool was_cancelled(const Fate& fate) {
    try {
        if (fate.error) std::rethrow_exception(fate.error);
    } catch (const boost::system::system_error& error) {
        return error.code() == asio::error::operation_aborted;
    } catch (...) {
    }
    return false;
}

}  // namespace

void TestPools::a_call_returns_what_the_function_returned_in_another_thread() {
    Fixture f;
    auto here = [] { return std::this_thread::get_id(); };
    const auto work = [&]() -> awaitable<bool> {
        const auto loop = std::this_thread::get_id();
        const auto io = co_await f.pools.io_bound("here", here);
        const auto cpu = co_await f.pools.cpu_bound("here", here);
        co_return io != loop&& cpu != loop&& io != cpu&& std::this_thread::get_id() == loop;
    };
    QVERIFY(f.run(work()));
}

void TestPools::an_exception_arrives_where_the_call_was_made() {
    Fixture f;
    const auto work = [&]() -> awaitable<std::string> {
        auto fail = []() -> int { throw std::runtime_error("no such letter"); };
        try {
            co_await f.pools.io_bound("fail", fail);
        } catch (const std::runtime_error& error) {
            co_return error.what();
        }
        co_return "nothing";
    };
    QCOMPARE(f.run(work()), std::string("no such letter"));
}

void TestPools::nothing_and_what_can_only_be_moved_may_be_returned() {
    Fixture f;
    const auto work = [&]() -> awaitable<int> {
        auto nothing = [] {};
        co_await f.pools.io_bound("nothing", nothing);
        auto unique = [] { return std::make_unique<int>(7); };
        const std::unique_ptr<int> seven = co_await f.pools.cpu_bound("unique", unique);
        auto moved = [eight = std::make_unique<int>(8)] { return *eight; };
        co_return *seven + co_await f.pools.cpu_bound("moved", std::move(moved));
    };
    QCOMPARE(f.run(work()), 15);
}

void TestPools::calls_run_at_the_same_time_up_to_the_number_of_threads() {
    Fixture f({.io_threads = 3, .cpu_threads = 1, .queue_capacity = 10});
    std::barrier together(3);
    std::atomic<int> inside = 0;
    std::atomic<int> most = 0;
    const auto call = [&]() -> awaitable<void> {
        auto meet = [&] {
            most = std::max(most.load(), ++inside);
            together.arrive_and_wait();
            --inside;
            together.arrive_and_wait();
        };
        co_await f.pools.io_bound("meet", meet);
    };
    std::vector<Fate> fates(6);
    for (Fate& fate : fates)
        spawn(f, call(), fate);
    f.io.run();
    QVERIFY(
        std::all_of(fates.begin(), fates.end(), [](const Fate& fate) { return fate.ended && !fate.error; }));
    QCOMPARE(most.load(), 3);
}

void TestPools::a_full_queue_refuses_by_name_and_takes_calls_again_later() {
    Fixture f({.io_threads = 1, .cpu_threads = 1, .queue_capacity = 2});
    Gate gate;
    std::atomic<int> inside = 0;
    std::vector<Fate> fates(3);
    spawn(f, wait_at(f.pools, gate, inside), fates[0]);
    while (inside == 0)
        f.io.poll();
    spawn(f, wait_at(f.pools, gate, inside), fates[1]);
    spawn(f, wait_at(f.pools, gate, inside), fates[2]);
    Fate refused;
    spawn(f, wait_at(f.pools, gate, inside), refused);
    while (!refused.ended)
        f.io.poll();
    QString said;
    try {
        std::rethrow_exception(refused.error);
    } catch (const PoolFull& full) {
        said = full.what();
    }
    QVERIFY2(said.contains("wait was not called: 2 calls wait for the 1 thread"), qPrintable(said));
    f.totals.collect();
    QCOMPARE(f.totals.counter("pool_rejected_total{pool=\"io\"}"), 1u);
    QCOMPARE(f.totals.gauge("pool_queue_depth{pool=\"io\"}"), 2.0);
    QCOMPARE(f.totals.gauge("pool_busy_threads{pool=\"io\"}"), 1.0);
    gate.open();
    f.io.run();
    QCOMPARE(inside.load(), 3);
    Fate later;
    spawn(f, wait_at(f.pools, gate, inside), later);
    f.io.restart();
    f.io.run();
    QVERIFY(later.ended && !later.error);
}

void TestPools::a_call_from_the_pool_runs_in_place() {
    // One thread: a call that waited for another one would wait for ever.
    Fixture f({.io_threads = 1, .cpu_threads = 1, .queue_capacity = 1});
    auto nested = [&f]() -> int {
        asio::io_context inner;
        int result = 0;
        auto here = [] { return std::this_thread::get_id(); };
        const auto work = [&]() -> awaitable<void> {
            const std::thread::id where = co_await f.pools.cpu_bound("here", here);
            result = where == std::this_thread::get_id() ? 1 : 2;
        };
        asio::co_spawn(inner, work(), asio::detached);
        inner.run();
        return result;
    };
    const auto work = [&]() -> awaitable<int> { co_return co_await f.pools.cpu_bound("nested", nested); };
    QCOMPARE(f.run(work()), 1);
}

void TestPools::a_computation_that_is_short_runs_in_place() {
    Fixture f;
    auto here = [] { return std::this_thread::get_id(); };
    const auto work = [&]() -> awaitable<bool> {
        const auto loop = std::this_thread::get_id();
        const auto in_place = co_await f.pools.cpu_bound_if(false, "here", here);
        const auto in_pool = co_await f.pools.cpu_bound_if(true, "here", here);
        co_return in_place == loop&& in_pool != loop;
    };
    QVERIFY(f.run(work()));
    f.totals.collect();
    QCOMPARE(f.totals.distribution("pool_run_seconds{pool=\"cpu\",function=\"here\"}").count(), 2u);
}

void TestPools::cancelling_takes_a_waiting_call_out_of_the_queue() {
    Fixture f({.io_threads = 1, .cpu_threads = 1, .queue_capacity = 2});
    Gate gate;
    std::atomic<int> inside = 0;
    Fate first;
    Fate second;
    asio::cancellation_signal cancel;
    spawn(f, wait_at(f.pools, gate, inside), first);
    while (inside == 0)
        f.io.poll();
    spawn(f, wait_at(f.pools, gate, inside), second, cancel.slot());
    f.io.poll();
    cancel.emit(asio::cancellation_type::terminal);
    while (!second.ended)
        f.io.poll();
    QVERIFY(was_cancelled(second));
    gate.open();
    f.io.run();
    QVERIFY(first.ended && !first.error);
    QCOMPARE(inside.load(), 1);
}

void TestPools::cancelling_asks_a_running_function_to_stop_and_waits_for_it() {
    Fixture f;
    std::latch begun(1);
    bool saw_the_request = false;
    const auto work = [&]() -> awaitable<void> {
        auto until_stopped = [&](std::stop_token stop) {
            begun.count_down();
            while (!stop.stop_requested())
                std::this_thread::yield();
            saw_the_request = true;
        };
        co_await f.pools.io_bound("until_stopped", until_stopped);
    };
    Fate fate;
    asio::cancellation_signal cancel;
    spawn(f, work(), fate, cancel.slot());
    f.io.poll();
    begun.wait();
    cancel.emit(asio::cancellation_type::terminal);
    f.io.run();
    QVERIFY(fate.ended);
    QVERIFY(saw_the_request);
}

void TestPools::waits_and_runs_are_measured_by_function() {
    Fixture f({.io_threads = 1, .cpu_threads = 1, .queue_capacity = 100});
    Gate gate;
    std::atomic<int> inside = 0;
    std::vector<Fate> fates(20);
    for (Fate& fate : fates)
        spawn(f, wait_at(f.pools, gate, inside), fate);
    while (inside == 0)
        f.io.poll();
    gate.open();
    f.io.run();
    f.totals.collect();
    const std::string labels = "{pool=\"io\",function=\"wait\"}";
    QCOMPARE(f.totals.distribution("pool_wait_seconds" + labels).count(), 20u);
    QCOMPARE(f.totals.distribution("pool_run_seconds" + labels).count(), 20u);
    QCOMPARE(f.totals.gauge("pool_queue_depth{pool=\"io\"}"), 0.0);
}

void TestPools::no_signal_is_delivered_to_a_thread_of_a_pool() {
    Fixture f;
    const auto work = [&]() -> awaitable<bool> {
        auto blocks = [] {
            sigset_t blocked;
            ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
            return sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGSEGV) == 0;
        };
        co_return co_await f.pools.io_bound("blocks", blocks);
    };
    QVERIFY(f.run(work()));
}

void TestPools::options_out_of_range_are_refused_by_name_data() {
    QTest::addColumn<unsigned>("io");
    QTest::addColumn<unsigned>("cpu");
    QTest::addColumn<unsigned>("capacity");
    QTest::addColumn<QString>("said");
    QTest::newRow("io") << 0u << 1u << 1u << "io_threads: 0 is not between 1 and 1024";
    QTest::newRow("cpu") << 1u << 1025u << 1u << "cpu_threads: 1025 is not between 1 and 1024";
    QTest::newRow("queue") << 1u << 1u << 0u << "queue_capacity: 0 is not between 1 and 1000000";
}

void TestPools::options_out_of_range_are_refused_by_name() {
    QFETCH(unsigned, io);
    QFETCH(unsigned, cpu);
    QFETCH(unsigned, capacity);
    QFETCH(QString, said);
    Telemetry telemetry({.group = "test", .max_workers = 1});
    QString refused;
    try {
        Pools pools(telemetry, {io, cpu, capacity});
    } catch (const std::invalid_argument& error) {
        refused = error.what();
    }
    QCOMPARE(refused, said);
}

QTEST_GUILESS_MAIN(TestPools)
#include "test_pools.moc"
