#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <QTest>
#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>

#include "http_client.hpp"
#include "server_test_main.hpp"
#include "worker_process.hpp"

using namespace signalbox;
using namespace std::chrono_literals;

namespace {

const std::string kGetHello = "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n";

/// A client as load generators and proxies are: keeps its connection, opens another one when told that it
/// ends.
struct SteadyClient {
    void run(const std::string& address) {
        while (!stop) {
            HttpClient client(address);
            for (bool stays = true; stays && !stop;) {
                try {
                    client.send(kGetHello);
                    const Reply reply = client.read();
                    ++(reply.status == 200 ? served : failed);
                    stays = reply.header("connection") != "close";
                } catch (const std::exception&) {
                    ++failed;
                    stays = false;
                }
            }
        }
    }
    std::atomic<bool> stop = false;
    std::atomic<int> served = 0;
    std::atomic<int> failed = 0;
};

/// Four of them, in a process of their own: this one has no threads, since it forks workers.
class SteadyClients {
public:
    struct Counts {
        int least_served = 0;  ///< by any of them
        int failed = 0;        ///< of all
    };

    explicit SteadyClients(const std::string& address) {
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel_) != 0)
            throw std::system_error(errno, std::generic_category(), "socketpair");
        process_ = ::fork();
        if (process_ == 0) ::_exit(run(address));
        ::close(channel_[1]);
    }
    ~SteadyClients() {
        ::shutdown(channel_[0], SHUT_RDWR);  // closing is not enough: workers have inherited it
        ::close(channel_[0]);
        ::waitpid(process_, nullptr, 0);
    }
    SteadyClients(const SteadyClients&) = delete;
    SteadyClients& operator=(const SteadyClients&) = delete;

    Counts stop() {
        ::shutdown(channel_[0], SHUT_WR);
        Counts counts{.least_served = 0, .failed = -1};
        if (::read(channel_[0], &counts, sizeof counts) != sizeof counts) counts.failed = -1;
        return counts;
    }

private:
    int run(const std::string& address) {
        ::close(channel_[0]);
        SteadyClient clients[4];
        std::vector<std::thread> threads;
        for (SteadyClient& client : clients)
            threads.emplace_back([&] { client.run(address); });
        char told_to_stop;
        (void)!::read(channel_[1], &told_to_stop, 1);
        for (SteadyClient& client : clients)
            client.stop = true;
        for (std::thread& thread : threads)
            thread.join();
        Counts counts{.least_served = clients[0].served, .failed = 0};
        for (const SteadyClient& client : clients) {
            counts.least_served = std::min(counts.least_served, client.served.load());
            counts.failed += client.failed;
        }
        return ::write(channel_[1], &counts, sizeof counts) == sizeof counts ? 0 : 1;
    }

    int channel_[2];
    pid_t process_;
};

}  // namespace

class DrainingTest : public QObject {
    Q_OBJECT

private slots:
    void finishes_what_is_under_way();
    void answers_what_waits_in_the_queue();
    void closes_idle_connections_after_a_while();
    void closes_what_is_left_at_the_deadline();
    void stops_at_once_when_told_to_quit();
    void cycling_under_load_fails_no_request();
};

void DrainingTest::finishes_what_is_under_way() {
    WorkerProcesses worker(test_router());
    worker.start();
    HttpClient client(worker.address());
    client.send("GET /slow?ms=700 HTTP/1.1\r\nHost: h\r\n\r\n");
    QTRY_COMPARE(worker.seat().connections.load(), 1u);
    worker.signal(0, SIGTERM);
    QTRY_COMPARE(worker.seat().phase.load(), static_cast<std::uint32_t>(telemetry::Phase::draining));
    const Reply reply = client.read();
    QCOMPARE(reply.status, 200);
    QCOMPARE(reply.header("connection"), std::string("close"));
    QVERIFY(client.ends());
    QCOMPARE(worker.wait(0), 0);
}

void DrainingTest::answers_what_waits_in_the_queue() {
    WorkerProcesses worker(test_router());
    worker.start();
    HttpClient spinning(worker.address());
    spinning.send("GET /spin?ms=500 HTTP/1.1\r\nHost: h\r\n\r\n");
    QTRY_VERIFY(worker.seat().activity.length.load() > 0);
    std::vector<HttpClient> waiting;
    for (int i = 0; i < 30; ++i) {
        waiting.emplace_back(worker.address());
        waiting.back().send(kGetHello);
    }
    QTRY_COMPARE(worker.waiting(), 30u);
    worker.signal(0, SIGTERM);
    for (HttpClient& client : waiting)
        QCOMPARE(client.read().status, 200);
    QCOMPARE(spinning.read().status, 200);
    waiting.clear();
    QCOMPARE(worker.wait(0), 0);
}

void DrainingTest::closes_idle_connections_after_a_while() {
    WorkerProcesses worker(test_router());
    worker.start();
    HttpClient client(worker.address());
    client.send(kGetHello);
    QCOMPARE(client.read().header("connection"), std::string());
    worker.signal(0, SIGTERM);
    QTRY_COMPARE(worker.seat().phase.load(), static_cast<std::uint32_t>(telemetry::Phase::draining));
    client.send(kGetHello);
    QCOMPARE(client.read().header("connection"), std::string("close"));
    HttpClient& same = client;
    QVERIFY(same.ends());
    QCOMPARE(worker.wait(0), 0);
}

void DrainingTest::closes_what_is_left_at_the_deadline() {
    WorkerProcesses worker(test_router(), {}, "127.0.0.1:0", 300ms);
    worker.start();
    HttpClient client(worker.address());
    client.send("GET /slow?ms=60000 HTTP/1.1\r\nHost: h\r\n\r\n");
    QTRY_COMPARE(worker.seat().connections.load(), 1u);
    QCOMPARE(worker.stop(0), 0);
    QVERIFY(client.ends());
}

void DrainingTest::stops_at_once_when_told_to_quit() {
    WorkerProcesses worker(test_router());
    worker.start();
    HttpClient client(worker.address());
    client.send("GET /slow?ms=60000 HTTP/1.1\r\nHost: h\r\n\r\n");
    QTRY_COMPARE(worker.seat().connections.load(), 1u);
    const auto begin = std::chrono::steady_clock::now();
    worker.signal(0, SIGQUIT);
    QCOMPARE(worker.wait(0), 0);
    QVERIFY(std::chrono::steady_clock::now() - begin < 5s);
    QVERIFY(client.ends());
}

void DrainingTest::cycling_under_load_fails_no_request() {
    WorkerProcesses workers(test_router());
    workers.start(0);
    SteadyClients clients(workers.address());
    unsigned serving = 0;
    for (int cycle = 0; cycle < 6; ++cycle) {
        workers.start(1 - serving);
        QTest::qWait(50);
        QCOMPARE(workers.stop(serving), 0);
        serving = 1 - serving;
    }
    const SteadyClients::Counts counts = clients.stop();
    QVERIFY(counts.least_served > 0);
    QCOMPARE(counts.failed, 0);
}

SERVER_TEST_MAIN(DrainingTest)
#include "test_draining.moc"
