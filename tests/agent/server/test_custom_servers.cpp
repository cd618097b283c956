// What a worker does with its custom servers, from their making to their end.
#define QT_NO_EMIT  // Asio has members of that name
#include <signal.h>
#include <sysexits.h>

#include <QTest>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "http_client.hpp"
#include "server_test_main.hpp"
#include "shared_count.hpp"
#include "worker_process.hpp"

using namespace signalbox;
using namespace std::chrono_literals;

namespace {

/// What happened in the worker, for the test to see; and what the test lets happen.
struct Seen {
    SharedCount made, started, drains, drained, cancelled, resumed, destroyed;
    SharedCount may_start, may_finish;
};

awaitable<void> pause_until(SharedCount& count) {
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
    while (*count == 0) {
        timer.expires_after(5ms);
        co_await timer.async_wait(boost::asio::use_awaitable);
    }
}

class Observed final : public CustomServer {
public:
    explicit Observed(Seen& seen) : seen_(seen) { ++*seen_.made; }
    ~Observed() override { ++*seen_.destroyed; }

    awaitable<void> start() override {
        co_await pause_until(seen_.may_start);
        ++*seen_.started;
    }
    awaitable<void> drain() override {
        ++*seen_.drains;
        try {
            co_await pause_until(seen_.may_finish);
        } catch (...) {
            ++*seen_.cancelled;
            throw;
        }
        ++*seen_.drained;
    }
    void resume() override { ++*seen_.resumed; }

private:
    Seen& seen_;
};

/// No coroutines: what they throw leaves them at once.
struct Unable final : CustomServer {
    awaitable<void> start() override { throw std::runtime_error("there is no such device"); }
};
struct Clumsy final : CustomServer {
    awaitable<void> drain() override { throw std::runtime_error("the drain is blocked"); }
};

}  // namespace

class CustomServersTest : public QObject {
    Q_OBJECT

private slots:
    void init() {
        seen_ = std::make_unique<Seen>();
        worker_ = std::make_unique<WorkerProcesses>(test_router(), ListenerOptions{}, "127.0.0.1:0", 60s);
    }
    void cleanup() { worker_.reset(); }

    void the_worker_is_ready_when_all_have_started();
    void the_worker_ends_when_all_have_drained();
    void one_that_does_not_start_ends_the_worker();
    void a_factory_that_throws_ends_the_worker();
    void a_drain_that_fails_is_shown_and_over();
    void a_drain_under_way_is_taken_back();
    void a_drain_that_is_over_is_taken_back();
    void a_worker_told_to_stop_before_it_is_ready_ends();

private:
    void observe() {
        worker_->add(
            {"observed", [this](boost::asio::io_context&) { return std::make_unique<Observed>(*seen_); }});
    }
    template <class Server>
    void add(const char* name) {
        worker_->add({name, [](boost::asio::io_context&) { return std::make_unique<Server>(); }});
    }
    bool draining() {
        return worker_->seat().phase.load() == static_cast<std::uint32_t>(telemetry::Phase::draining);
    }

    std::unique_ptr<Seen> seen_;
    std::unique_ptr<WorkerProcesses> worker_;
};

void CustomServersTest::the_worker_is_ready_when_all_have_started() {
    observe();
    observe();
    worker_->start_unready();
    QTRY_COMPARE_WITH_TIMEOUT((*seen_->made).load(), 2u, 20'000);
    QTRY_VERIFY_WITH_TIMEOUT(worker_->seat().heartbeat_monotonic_ns.load() != 0, 20'000);
    HttpClient client(worker_->address());  // waits in the kernel's queue
    client.send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    QTest::qSleep(300);  // not a condition: that nothing happens
    QVERIFY(!worker_->is_ready());
    QCOMPARE(worker_->seat().queues[0].pushed.load(), 0u);
    ++*seen_->may_start;
    QTRY_VERIFY_WITH_TIMEOUT(worker_->is_ready(), 20'000);
    QCOMPARE((*seen_->started).load(), 2u);
    QCOMPARE(client.read().status, 200);
}

void CustomServersTest::the_worker_ends_when_all_have_drained() {
    ++*seen_->may_start;
    observe();
    worker_->start();
    worker_->signal(0, SIGTERM);
    QTRY_COMPARE_WITH_TIMEOUT((*seen_->drains).load(), 1u, 20'000);
    QTest::qSleep(300);  // not a condition: that it does not end
    QVERIFY(draining());
    QCOMPARE((*seen_->destroyed).load(), 0u);
    ++*seen_->may_finish;
    QCOMPARE(worker_->wait(0), 0);
    QCOMPARE((*seen_->drained).load(), 1u);
    QCOMPARE((*seen_->destroyed).load(), 1u);
}

void CustomServersTest::one_that_does_not_start_ends_the_worker() {
    add<Unable>("unable");
    worker_->start_unready();
    QCOMPARE(worker_->wait(0), EX_SOFTWARE);
}

void CustomServersTest::a_factory_that_throws_ends_the_worker() {
    worker_->add({"broken", [](boost::asio::io_context&) -> std::unique_ptr<CustomServer> {
                      throw std::runtime_error("no");
                  }});
    worker_->start_unready();
    QCOMPARE(worker_->wait(0), EX_SOFTWARE);
}

void CustomServersTest::a_drain_that_fails_is_shown_and_over() {
    add<Clumsy>("clumsy");
    worker_->start();
    worker_->signal(0, SIGTERM);
    QTRY_COMPARE_WITH_TIMEOUT(worker_->events("custom_server_failed"),
                              std::vector<std::string>{"Custom server 'clumsy': the drain is blocked"},
                              20'000);
    QCOMPARE(worker_->wait(0), 0);
}

void CustomServersTest::a_drain_under_way_is_taken_back() {
    ++*seen_->may_start;
    observe();
    worker_->start();
    worker_->signal(0, SIGTERM);
    QTRY_COMPARE_WITH_TIMEOUT((*seen_->drains).load(), 1u, 20'000);
    worker_->resume();
    QTRY_COMPARE_WITH_TIMEOUT((*seen_->resumed).load(), 1u, 20'000);
    QCOMPARE((*seen_->cancelled).load(), 1u);
    QTRY_VERIFY_WITH_TIMEOUT(worker_->is_ready(), 20'000);
    QCOMPARE(worker_->events("custom_server_failed").size(), 0u);
    QCOMPARE(ask(worker_->address(), "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
    ++*seen_->may_finish;
    QCOMPARE(worker_->stop(0), 0);
    QCOMPARE((*seen_->drains).load(), 2u);
    QCOMPARE((*seen_->drained).load(), 1u);
}

void CustomServersTest::a_drain_that_is_over_is_taken_back() {
    ++*seen_->may_start;
    ++*seen_->may_finish;
    observe();
    worker_->start();
    HttpClient client(worker_->address());
    client.send("GET /slow?ms=60000 HTTP/1.1\r\nHost: h\r\n\r\n");
    QTRY_COMPARE_WITH_TIMEOUT(worker_->seat().connections.load(), 1u, 20'000);
    worker_->signal(0, SIGTERM);
    QTRY_COMPARE_WITH_TIMEOUT((*seen_->drained).load(), 1u, 20'000);
    worker_->resume();
    QTRY_COMPARE_WITH_TIMEOUT((*seen_->resumed).load(), 1u, 20'000);
    QCOMPARE((*seen_->cancelled).load(), 0u);
}

void CustomServersTest::a_worker_told_to_stop_before_it_is_ready_ends() {
    observe();
    worker_->start_unready();
    QTRY_VERIFY_WITH_TIMEOUT(worker_->seat().heartbeat_monotonic_ns.load() != 0, 20'000);
    QCOMPARE(worker_->stop(0), 0);
    QCOMPARE((*seen_->destroyed).load(), 1u);
}

SERVER_TEST_MAIN(CustomServersTest)
#include "test_custom_servers.moc"
