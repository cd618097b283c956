#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <QFile>
#include <QTemporaryDir>
#include <QTest>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>
#include <set>

#include "agent/server/address.hpp"
#include "agent/server/datagram/datagram_listener.hpp"
#include "server_test_main.hpp"
#include "worker_process.hpp"

using namespace signalbox;
using namespace std::chrono_literals;

namespace {

/// Connected, so that only answers from the very address it sends to get through.
class Client {
public:
    /// `name`: of a unix client; "": none.
    explicit Client(const std::string& address, const std::string& name = "") {
        const server::SocketAddress to = server::parse_address(address);
        socket_ = ::socket(to.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (!name.empty()) {
            const server::SocketAddress own = server::parse_address("unix:" + name);
            ::bind(socket_, reinterpret_cast<const sockaddr*>(&own.storage), own.size);
        }
        if (::connect(socket_, reinterpret_cast<const sockaddr*>(&to.storage), to.size) != 0)
            throw std::system_error(errno, std::generic_category(), address);
    }
    ~Client() { ::close(socket_); }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    void send(const std::string& text) { ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL); }
    /// "" if nothing comes for ten seconds.
    std::string receive(int patience = 10'000) {
        pollfd ready{socket_, POLLIN, 0};
        char text[2048];
        if (::poll(&ready, 1, patience) != 1) return "";
        const ssize_t size = ::recv(socket_, text, sizeof text, 0);
        return size > 0 ? std::string(text, static_cast<std::size_t>(size)) : "";
    }
    std::string ask(const std::string& text) {
        send(text);
        return receive();
    }

private:
    int socket_;
};

void answer_pid(const Datagram& datagram) {
    datagram.reply(std::to_string(::getpid()));
}

std::string sip(int dialogue) {
    return "INVITE sip:a@b SIP/2.0\r\nVia: x\r\ni: " + std::to_string(dialogue) + "@host\r\n\r\n";
}

std::string local(const std::string& address, const char* host) {
    return host + address.substr(address.rfind(':'));
}

}  // namespace

class DatagramsTest : public QObject {
    Q_OBJECT

private slots:
    void answers_from_the_address_it_was_sent_to_data();
    void answers_from_the_address_it_was_sent_to();
    void unix_clients_with_a_name_are_answered();
    void a_file_that_is_no_socket_stays_where_it_is();
    void coroutines_are_bounded();
    void a_dialogue_stays_with_its_worker();
    void replacing_a_worker_loses_nothing_data();
    void replacing_a_worker_loses_nothing();
    void what_is_too_long_is_refused_and_counted();
    void what_the_kernel_drops_is_counted_once();
    void what_no_worker_has_forwarded_is_refused();
    void a_handler_that_throws_is_reported();
};

void DatagramsTest::answers_from_the_address_it_was_sent_to_data() {
    QTest::addColumn<QString>("bind");
    QTest::addColumn<QString>("host");
    QTest::newRow("IPv4") << "127.0.0.1:0"
                          << "127.0.0.1";
    QTest::newRow("any IPv4, another address") << "0.0.0.0:0"
                                               << "127.0.0.7";
    QTest::newRow("any, IPv4") << "*:0"
                               << "127.0.0.7";
    QTest::newRow("any, IPv6") << "*:0"
                               << "[::1]";
}

void DatagramsTest::answers_from_the_address_it_was_sent_to() {
    QFETCH(QString, bind);
    QFETCH(QString, host);
    for (const bool keyed : {false, true}) {
        WorkerProcesses workers(test_router());
        const std::string address = workers.serve_datagrams(
            bind.toStdString(), DatagramHandler([](const Datagram& d) { d.reply("for " + d.peer()); }),
            {.key = keyed ? DatagramKey(sip_call_id) : DatagramKey()});
        workers.start(0);
        workers.start(2);
        Client client(local(address, host.toStdString().c_str()));
        for (int i = 0; i < 20; ++i)  // some of them are forwarded
            QVERIFY(
                client.ask(sip(i)).starts_with("for " + (host == "[::1]" ? "[::1]:" : std::string("127."))));
    }
}

void DatagramsTest::a_file_that_is_no_socket_stays_where_it_is() {
    QTemporaryDir directory;
    QFile file(directory.filePath("letters"));
    QVERIFY(file.open(QFile::WriteOnly));
    Telemetry telemetry({.group = "test", .max_workers = 1});
    QVERIFY_EXCEPTION_THROWN(server::bind_datagram("unix:" + file.fileName().toStdString(),
                                                   DatagramHandler([](const Datagram&) {}), {}, 1, telemetry),
                             std::system_error);
    QVERIFY(file.exists());
}

void DatagramsTest::unix_clients_with_a_name_are_answered() {
    const QTemporaryDir directory;
    const std::string path = "unix:" + directory.filePath("server").toStdString();
    const std::string name = directory.filePath("client").toStdString();
    WorkerProcesses worker(test_router());
    worker.serve_datagrams(
        path, DatagramHandler([](const Datagram& d) { d.reply(d.peer() + std::string(d.text())); }), {});
    worker.start();
    Client client(path, name);
    QCOMPARE(client.ask("!"), "unix:" + name + "!");
    Client nobody(path);
    nobody.send("?");
    QTRY_COMPARE(worker.counter("datagrams_received_total"), 2u);
    QCOMPARE(client.ask("!"), "unix:" + name + "!");
}

void DatagramsTest::coroutines_are_bounded() {
    WorkerProcesses worker(test_router());
    const auto slow = [](Datagram datagram) -> awaitable<void> {
        boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
        timer.expires_after(500ms);
        co_await timer.async_wait(boost::asio::use_awaitable);
        datagram.reply("at last");
    };
    const std::string address =
        worker.serve_datagrams("127.0.0.1:0", DatagramHandler(slow), {.concurrency = 3});
    worker.start();
    Client client(address);
    for (int i = 0; i < 10; ++i)
        client.send("x");
    QTRY_COMPARE(worker.counter("datagrams_shed_total", {{"reason", "busy"}}), 7u);
    worker.signal(0, SIGTERM);  // what is at work is finished
    for (int i = 0; i < 3; ++i)
        QCOMPARE(client.receive(), std::string("at last"));
    QCOMPARE(worker.wait(0), 0);
}

void DatagramsTest::a_dialogue_stays_with_its_worker() {
    WorkerProcesses workers(test_router());
    const std::string address =
        workers.serve_datagrams("127.0.0.1:0", DatagramHandler(answer_pid), {.key = sip_call_id});
    workers.start(0);
    workers.start(2);
    std::map<int, std::string> pid_of;
    for (int round = 0; round < 3; ++round)
        for (int dialogue = 0; dialogue < 20; ++dialogue) {
            Client client(address);  // another port each time
            const std::string pid = client.ask(sip(dialogue));
            QVERIFY(!pid.empty());
            QCOMPARE(pid, pid_of.try_emplace(dialogue, pid).first->second);
        }
    workers.start(1);  // a successor in the first slot
    QCOMPARE(workers.stop(0), 0);
    std::map<std::string, std::set<std::string>> after;
    for (const auto& [dialogue, pid] : pid_of) {
        Client client(address);
        after[pid].insert(client.ask(sip(dialogue)));
    }
    const std::string stayed = std::to_string(workers.seat(2).pid.load());
    QCOMPARE(after.size(), 2u);
    QCOMPARE(after[stayed], std::set<std::string>{stayed});
    after.erase(stayed);
    QCOMPARE(after.begin()->second, std::set<std::string>{std::to_string(workers.seat(1).pid.load())});
    QVERIFY(workers.counter("datagrams_forwarded_total") > 0);
}

void DatagramsTest::replacing_a_worker_loses_nothing_data() {
    QTest::addColumn<bool>("keyed");
    QTest::newRow("shared") << false;
    QTest::newRow("by key") << true;
}

void DatagramsTest::replacing_a_worker_loses_nothing() {
    QFETCH(bool, keyed);
    WorkerProcesses workers(test_router());
    const std::string address =
        workers.serve_datagrams("127.0.0.1:0", DatagramHandler(answer_pid),
                                {.key = keyed ? DatagramKey(sip_call_id) : DatagramKey()});
    workers.start(0);
    workers.start(2);
    Client client(address);
    int sent = 0;
    int answered = 0;
    const auto send_some = [&] {
        for (int i = 0; i < 50; ++i)
            client.send(sip(sent++));
        while (!client.receive(0).empty())  // or its own buffer overflows
            ++answered;
    };
    for (const auto& [successor, predecessor] : {std::pair(1u, 0u), {3u, 2u}, {0u, 1u}}) {
        send_some();
        workers.start(successor);
        send_some();
        workers.signal(predecessor, SIGTERM);
        send_some();
        QCOMPARE(workers.wait(predecessor), 0);
    }
    for (; answered < sent; ++answered)
        QVERIFY2(!client.receive().empty(), qPrintable(QString("%1 of %2").arg(answered).arg(sent)));
}

void DatagramsTest::what_is_too_long_is_refused_and_counted() {
    WorkerProcesses worker(test_router());
    const std::string address = worker.serve_datagrams(
        "127.0.0.1:0", DatagramHandler([](const Datagram& d) { d.reply(std::to_string(d.bytes().size())); }),
        {.largest = Bytes{100}});
    worker.start();
    Client client(address);
    client.send(std::string(101, 'x'));
    client.send(std::string(10'000, 'x'));
    QCOMPARE(client.ask(std::string(100, 'x')), std::string("100"));
    QCOMPARE(client.ask(""), std::string("0"));
    QCOMPARE(worker.counter("datagrams_shed_total", {{"reason", "truncated"}}), 2u);
    QCOMPARE(worker.counter("datagrams_received_total"), 4u);
}

void DatagramsTest::what_the_kernel_drops_is_counted_once() {
    WorkerProcesses workers(test_router());
    const std::string address =
        workers.serve_datagrams("127.0.0.1:0", DatagramHandler(answer_pid), {.receive_buffer = Bytes{8'192}});
    workers.start(0);
    workers.start(2);
    workers.pause(0);
    workers.pause(2);
    Client client(address);
    for (int i = 0; i < 100; ++i)
        client.send(std::string(1'000, 'x'));
    workers.signal(0, SIGCONT);
    workers.signal(2, SIGCONT);
    std::uint64_t answered = 0;
    while (!client.receive(1'000).empty())
        ++answered;
    QVERIFY(answered > 0 && answered < 100);
    for (int i = 0; i < 10; ++i)  // the next ones tell
        QVERIFY(!client.ask("x").empty());
    QTRY_COMPARE(workers.counter("datagrams_shed_total", {{"reason", "kernel"}}), 100 - answered);
}

void DatagramsTest::what_no_worker_has_forwarded_is_refused() {
    WorkerProcesses worker(test_router());
    const std::string address =
        worker.serve_datagrams("127.0.0.1:0", DatagramHandler(answer_pid), {.key = sip_call_id});
    worker.start();
    const int inbox = worker.datagrams().inboxes[0].writer;
    QCOMPARE(::send(inbox, "rubbish", 7, 0), 7);
    server::ForwardingHeader header;
    header.peer_size = 999'999;
    QCOMPARE(::send(inbox, &header, sizeof header, 0), static_cast<ssize_t>(sizeof header));
    QTRY_COMPARE(worker.counter("datagrams_shed_total", {{"reason", "malformed"}}), 2u);
    Client client(address);
    QVERIFY(!client.ask("x").empty());
}

void DatagramsTest::a_handler_that_throws_is_reported() {
    WorkerProcesses worker(test_router());
    const std::string address =
        worker.serve_datagrams("127.0.0.1:0", DatagramHandler([](const Datagram& d) {
                                   if (d.text() == "bad") throw std::runtime_error("the handler's reason");
                                   d.reply("good");
                               }),
                               {});
    worker.start();
    Client client(address);
    client.send("bad");
    QCOMPARE(client.ask("fine"), std::string("good"));
    QTRY_COMPARE(worker.events("datagram_failed").size(), 1u);
    QVERIFY(worker.events("datagram_failed").front().ends_with("the handler's reason"));
}

SERVER_TEST_MAIN(DatagramsTest)
#include "test_datagrams.moc"
