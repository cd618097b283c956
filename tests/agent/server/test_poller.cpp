// Sockets that wait: edges that come while nobody waits, ends that come with data, sockets that are closed while others
// are told, and descriptors that outlive their socket.
#define QT_NO_EMIT
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <QTest>
#include <array>
#include <atomic>
#include <boost/asio/error.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "agent/server/plain_stream.hpp"
#include "agent/server/wakeups.hpp"
#include "agent/telemetry/seat.hpp"

using namespace signalbox::server;
using boost::system::error_code;

namespace {

/// Two ends of a connection; the other one is the test's.
struct Pair {
    Pair() {
        std::array<int, 2> ends{};
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) != 0)
            qFatal("socketpair");
        own = ends[0];
        other = ends[1];
    }
    Pair(Pair&& from) noexcept : own(from.own), other(std::exchange(from.other, -1)) {}
    ~Pair() { hang_up(); }
    void say(std::string_view text) const {
        if (::send(other, text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size()))
            qFatal("send");
    }
    void hang_up() {
        if (other >= 0) ::close(std::exchange(other, -1));
    }

    int own = -1;  ///< the socket's that is made of it
    int other = -1;
};

/// The poller as a worker has it, with an event loop that is turned by hand.
struct Loop {
    Poller poller{io};
    boost::asio::io_context io{1};
    ~Loop() { poller.abandon_all(); }
    /// Until nothing is left to do at once.
    void turn() {
        io.restart();
        for (int idle = 0; idle < 8;
             ++idle)  // what the poller itself delivers does not count as done by `io`
            if (io.poll() > 0) idle = -1;
    }
};

#ifdef SYS_epoll_wait
constexpr int kEpollWait = SYS_epoll_wait;
#else
constexpr int kEpollWait = SYS_epoll_pwait;
#endif

/// Of this process, blocked in epoll_wait for any time.
int threads_that_wait_for_events() {
    int count = 0;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        std::ifstream file(task.path() / "syscall");
        int number = -1;
        if (file >> number && (number == SYS_epoll_pwait || number == kEpollWait)) ++count;
    }
    return count;
}

}  // namespace

class TestPoller : public QObject {
    Q_OBJECT
private slots:
    void tells_of_what_comes();
    void an_edge_that_nobody_waited_for_is_not_lost();
    void data_that_was_there_before_is_told();
    void waits_again_without_what_was_read();
    void an_end_that_came_with_data_is_told();
    void a_full_socket_is_told_when_it_has_room();
    void a_closed_socket_cancels_what_waits();
    void a_handler_may_close_any_socket();
    void a_descriptor_that_outlives_its_socket_tells_nobody();
    void a_released_descriptor_tells_nobody();
    void more_sockets_than_one_turn_takes();
    void handlers_that_block_leave_a_turn_to_others();
    void a_handler_of_any_size_waits();
    void what_waits_at_the_end_is_destroyed();
    void an_eventfd_is_told_of_once_for_each_write();
    void a_watched_descriptor_is_told_of_until_it_is_read();
    void a_paused_watch_tells_nobody();
    void one_of_many_is_woken();
    void says_when_its_turn_began();
    void another_thread_wakes_the_io_context();
};

void TestPoller::tells_of_what_comes() {
    Loop loop;
    Pair pair;
    PolledSocket socket(loop.poller, pair.own);
    int told = 0;
    socket.async_wait(PolledSocket::wait_read, [&](error_code ec) {
        QVERIFY(!ec);
        ++told;
    });
    loop.turn();
    QCOMPARE(told, 0);
    pair.say("x");
    loop.turn();
    QCOMPARE(told, 1);
}

void TestPoller::an_edge_that_nobody_waited_for_is_not_lost() {
    Loop loop;
    Pair pair;
    PolledSocket socket(loop.poller, pair.own);
    int told = 0;
    socket.async_wait_for_more(PolledSocket::wait_read, [&](error_code) { ++told; });
    pair.say("x");
    loop.turn();
    QCOMPARE(told, 1);
    pair.say("y");
    loop.turn();
    socket.async_wait_for_more(PolledSocket::wait_read, [&](error_code) { ++told; });
    loop.turn();
    QCOMPARE(told, 2);
}

void TestPoller::data_that_was_there_before_is_told() {
    Loop loop;
    Pair pair;
    PolledSocket socket(loop.poller, pair.own);
    pair.say("x");
    for (int told = 0; told < 3; ++told) {  // it is never read: it stays readable
        bool again = false;
        socket.async_wait(PolledSocket::wait_read, [&](error_code) { again = true; });
        loop.turn();
        QVERIFY(again);
    }
}

void TestPoller::waits_again_without_what_was_read() {
    Loop loop;
    Pair pair;
    PlainStream stream(loop.poller, pair.own);
    std::string received;
    std::array<char, 4> buffer{};
    std::function<void()> read = [&] {
        stream.async_read_some(buffer.data(), buffer.size(), [&](error_code ec, std::size_t bytes) {
            QVERIFY(!ec);
            received.append(buffer.data(), bytes);
            read();
        });
    };
    read();
    std::string sent;
    for (const std::string_view part : {"one", "four", "twenty-three letters and", "x"}) {
        pair.say(part);
        sent += part;
        loop.turn();
        QCOMPARE(received, sent);
    }
}

void TestPoller::an_end_that_came_with_data_is_told() {
    Loop loop;
    Pair pair;
    PlainStream stream(loop.poller, pair.own);
    std::array<char, 64> buffer{};
    std::string received;
    error_code end;
    std::function<void()> read = [&] {
        stream.async_read_some(buffer.data(), buffer.size(), [&](error_code ec, std::size_t bytes) {
            received.append(buffer.data(), bytes);
            ec ? void(end = ec) : read();
        });
    };
    read();
    loop.turn();  // it is registered and waits: data and end are one event
    pair.say("the last");
    pair.hang_up();
    loop.turn();
    QCOMPARE(received, std::string("the last"));
    QVERIFY(end == boost::asio::error::eof);
}

void TestPoller::a_full_socket_is_told_when_it_has_room() {
    Loop loop;
    Pair pair;
    PlainStream stream(loop.poller, pair.own);
    const std::string much(1 << 16, 'x');
    error_code ec;
    while (stream.write_now(much, {}, ec) > 0) {
    }
    QVERIFY(!ec);
    std::size_t written = 0;
    stream.async_write_some(much, {}, [&](error_code failed, std::size_t bytes) {
        QVERIFY(!failed);
        written = bytes;
    });
    loop.turn();
    QCOMPARE(written, std::size_t{0});
    std::string taken(1 << 20, '\0');
    while (::recv(pair.other, taken.data(), taken.size(), 0) > 0) {
    }
    loop.turn();
    QVERIFY(written > 0);
}

void TestPoller::a_closed_socket_cancels_what_waits() {
    Loop loop;
    Pair pair;
    PolledSocket socket(loop.poller, pair.own);
    std::vector<error_code> told;
    for (const auto direction : {PolledSocket::wait_read, PolledSocket::wait_write}) {
        socket.async_wait(direction, [&](error_code ec) { told.push_back(ec); });
    }
    socket.close();
    QVERIFY(told.empty());  // never from within
    loop.turn();
    QCOMPARE(told.size(), std::size_t{2});
    QVERIFY(told[0] == boost::asio::error::operation_aborted &&
            told[1] == boost::asio::error::operation_aborted);
    QCOMPARE(socket.release(), -1);
}

void TestPoller::a_handler_may_close_any_socket() {
    Loop loop;
    std::vector<Pair> pairs(8);
    std::vector<std::unique_ptr<PolledSocket>> sockets;
    int told = 0;
    int cancelled = 0;
    for (const Pair& pair : pairs) {
        sockets.push_back(std::make_unique<PolledSocket>(loop.poller, pair.own));
        sockets.back()->async_wait(PolledSocket::wait_read, [&](error_code ec) {
            if (ec) {
                ++cancelled;
                return;
            }
            ++told;
            for (auto& socket : sockets)
                socket.reset();
        });
    }
    for (const Pair& pair : pairs)
        pair.say("x");  // all of them in one turn
    loop.turn();
    QCOMPARE(told, 1);
    QCOMPARE(cancelled, 7);
}

void TestPoller::a_descriptor_that_outlives_its_socket_tells_nobody() {
    Loop loop;
    Pair first;
    Pair second;
    const int elsewhere = ::dup(first.own);  // as in a child that has not called exec yet
    int told = 0;
    {
        PolledSocket socket(loop.poller, first.own);
        socket.async_wait(PolledSocket::wait_read, [](error_code) {});
        loop.turn();
    }
    PolledSocket next(loop.poller, second.own);  // it has the place of the one before
    next.async_wait(PolledSocket::wait_read, [&](error_code) { ++told; });
    first.say("x");
    loop.turn();
    QCOMPARE(told, 0);
    second.say("x");
    loop.turn();
    QCOMPARE(told, 1);
    ::close(elsewhere);
}

void TestPoller::a_released_descriptor_tells_nobody() {
    Loop loop;
    Pair pair;
    PolledSocket socket(loop.poller, pair.own);
    bool cancelled = false;
    socket.async_wait(PolledSocket::wait_read,
                      [&](error_code ec) { cancelled = ec == boost::asio::error::operation_aborted; });
    loop.turn();
    const int descriptor = socket.release();
    QCOMPARE(descriptor, pair.own);
    pair.say("x");
    loop.turn();
    QVERIFY(cancelled);
    ::close(descriptor);
}

void TestPoller::more_sockets_than_one_turn_takes() {
    Loop loop;
    std::vector<Pair> pairs(200);
    std::vector<std::unique_ptr<PolledSocket>> sockets;
    std::vector<int> told(pairs.size());
    for (std::size_t i = 0; i < pairs.size(); ++i) {
        sockets.push_back(std::make_unique<PolledSocket>(loop.poller, pairs[i].own));
        sockets.back()->async_wait(PolledSocket::wait_read, [&, i](error_code) { ++told[i]; });
    }
    for (const Pair& pair : pairs)
        pair.say("x");
    loop.turn();
    QCOMPARE(told, std::vector<int>(pairs.size(), 1));
}

void TestPoller::handlers_that_block_leave_a_turn_to_others() {
    Loop loop;
    std::vector<Pair> pairs(8);
    std::vector<std::unique_ptr<PolledSocket>> sockets;
    int told = 0;
    int told_before_another = 0;
    for (const Pair& pair : pairs) {
        sockets.push_back(std::make_unique<PolledSocket>(loop.poller, pair.own));
        sockets.back()->async_wait(PolledSocket::wait_read, [&](error_code) {
            if (++told == 1) boost::asio::post(loop.io, [&] { told_before_another = told; });
            ::usleep(2'000);  // blocks for longer than a turn
        });
        pair.say("x");
    }
    loop.turn();
    QCOMPARE(told, 8);
    QCOMPARE(told_before_another, 1);
}

void TestPoller::a_handler_of_any_size_waits() {
    Loop loop;
    Pair pair;
    PolledSocket socket(loop.poller, pair.own);
    std::array<char, 500> large{};
    large.back() = 'z';
    char seen = 0;
    socket.async_wait(PolledSocket::wait_read, [large, &seen](error_code) { seen = large.back(); });
    PolledSocket moved(std::move(socket));
    pair.say("x");
    loop.turn();
    QCOMPARE(seen, 'z');
}

void TestPoller::what_waits_at_the_end_is_destroyed() {
    const auto kept = std::make_shared<int>();
    Pair pair;
    {
        Loop loop;
        const auto socket = std::make_shared<PolledSocket>(loop.poller, pair.own);
        // As a connection does it: what waits keeps alive what it waits with.
        socket->async_wait(PolledSocket::wait_read, [socket, kept](error_code) {});
    }
    QCOMPARE(kept.use_count(), 1L);
    char end = 0;
    QCOMPARE(::recv(pair.other, &end, 1, 0), ssize_t{0});
}

void TestPoller::an_eventfd_is_told_of_once_for_each_write() {
    Loop loop;
    const Wakeups wakeups(1);
    int told = 0;
    const DescriptorWatch watch(loop.poller, wakeups.of(0), DescriptorWatch::How::each_write,
                                [&] { ++told; });
    loop.turn();
    QCOMPARE(told, 0);
    wakeups.wake(0);
    wakeups.wake(0);
    loop.turn();
    QCOMPARE(told, 1);
    wakeups.wake(0);
    loop.turn();
    QCOMPARE(told, 2);
}

void TestPoller::a_watched_descriptor_is_told_of_until_it_is_read() {
    Loop loop;
    Pair pair;
    int told = 0;
    const DescriptorWatch watch(loop.poller, pair.own, DescriptorWatch::How::alone, [&] {
        if (++told < 3) return;
        char byte = 0;
        ::recv(pair.own, &byte, 1, 0);
    });
    pair.say("x");
    loop.turn();
    QCOMPARE(told, 3);
    ::close(pair.own);
}

void TestPoller::a_paused_watch_tells_nobody() {
    Loop loop;
    const Wakeups wakeups(1);
    int told = 0;
    DescriptorWatch watch(loop.poller, wakeups.of(0), DescriptorWatch::How::each_write, [&] {
        ++told;
        watch.pause();
    });
    wakeups.wake(0);
    loop.turn();
    QCOMPARE(told, 1);
    wakeups.wake(0);
    loop.turn();
    QCOMPARE(told, 1);
    watch.resume();
    loop.turn();
    QCOMPARE(told, 2);
}

/// Each of two that wait for the same; whoever is told first reads.
void TestPoller::one_of_many_is_woken() {
    Pair pair;
    std::atomic<int> woken = 0;
    const auto wait = [&] {
        Loop loop;
        const DescriptorWatch watch(loop.poller, pair.own, DescriptorWatch::How::one_of_many, [&] {
            char byte = 0;
            ++woken;
            while (::recv(pair.own, &byte, 1, MSG_DONTWAIT) > 0)
                if (byte == 'q') loop.io.stop();
        });
        loop.io.run();
    };
    std::thread one(wait);
    std::thread other(wait);
    // Both wait. (A thread that was about to would be told at once, and read as well.)
    QTRY_COMPARE(threads_that_wait_for_events(), 2);
    pair.say("x");
    QTRY_COMPARE(woken.load(), 1);
    QTRY_COMPARE(threads_that_wait_for_events(), 2);
    QCOMPARE(woken.load(), 1);
    pair.say("q");
    QTRY_COMPARE(threads_that_wait_for_events(), 1);
    pair.say("q");
    one.join();
    other.join();
    QCOMPARE(woken.load(), 3);
    ::close(pair.own);
}

void TestPoller::says_when_its_turn_began() {
    TurnBegan turn{0};
    boost::asio::io_context io{1};
    Poller poller(io, &turn);
    poller.attach();
    std::thread loop([&] { io.run(); });
    QTRY_COMPARE(threads_that_wait_for_events(), 1);
    QCOMPARE(turn.load(), 0u);
    std::uint64_t in_turn = 0;
    const std::uint64_t before = signalbox::telemetry::monotonic_ns();
    boost::asio::post(io, [&] {
        in_turn = turn;
        io.stop();
    });
    loop.join();
    QVERIFY(in_turn > before);
    poller.abandon_all();
}

void TestPoller::another_thread_wakes_the_io_context() {
    boost::asio::io_context io{1};
    Poller poller(io);
    poller.attach();
    std::thread loop([&] { io.run(); });
    for (int i = 0; i < 1'000; ++i) {
        std::atomic<bool> done = false;
        if (i % 10 == 0) QTRY_COMPARE(threads_that_wait_for_events(), 1);
        boost::asio::post(io, [&] {
            done = true;
            done.notify_one();
        });
        done.wait(false);
    }
    io.stop();
    loop.join();
    poller.abandon_all();
}

QTEST_GUILESS_MAIN(TestPoller)
#include "test_poller.moc"
