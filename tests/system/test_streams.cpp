// Stream connections and WebSockets through rolling cycles of a whole group: the chat example.
#include <signal.h>

#include <QProcess>
#include <QRegularExpression>
#include <QTcpSocket>
#include <QtTest>
#include <memory>
#include <vector>

#include "tests/system/running_group.hpp"

using namespace signalbox;

namespace {

constexpr int kPatience = 20'000;  // milliseconds

/// The chat server; ends with the object.
class Chat {
public:
    Chat() {
        process_.setProcessChannelMode(QProcess::MergedChannels);
        process_.start(tests::program("signalbox-chat"), {"127.0.0.1:0", "127.0.0.1:0"});
        const QRegularExpression announcement("lines on (\\S+), WebSockets on (\\S+)\n");
        QRegularExpressionMatch match;
        while (!match.hasMatch() && (process_.waitForReadyRead(kPatience))) {
            said_ += process_.readAllStandardOutput();
            match = announcement.match(said_);
        }
        lines = match.captured(1);
        web = match.captured(2);
    }
    ~Chat() { stop(); }

    pid_t arbiter() const { return static_cast<pid_t>(process_.processId()); }
    int stop() {
        if (process_.state() != QProcess::NotRunning) process_.terminate();
        if (process_.state() != QProcess::NotRunning && !process_.waitForFinished(kPatience)) process_.kill();
        process_.waitForFinished(kPatience);
        return process_.exitStatus() == QProcess::NormalExit ? process_.exitCode() : -1;
    }

    QString lines;
    QString web;

private:
    QProcess process_;
    QString said_;
};

/// Of lines.
class Visitor {
public:
    explicit Visitor(const QString& address) {
        socket_.connectToHost(address.section(':', 0, 0),
                              static_cast<quint16>(address.section(':', 1).toUInt()));
        socket_.waitForConnected(kPatience);
    }
    void send(const QByteArray& bytes) {
        socket_.write(bytes);
        socket_.waitForBytesWritten(kPatience);
    }
    /// Empty: none comes.
    QByteArray line() {
        while (!socket_.canReadLine() && socket_.waitForReadyRead(kPatience)) {
        }
        return socket_.readLine();
    }
    QByteArray exactly(int bytes) {
        while (socket_.bytesAvailable() < bytes && socket_.waitForReadyRead(kPatience)) {
        }
        return socket_.read(bytes);
    }
    /// In order, without another word.
    bool ends() {
        socket_.waitForDisconnected(kPatience);
        return socket_.state() == QAbstractSocket::UnconnectedState && socket_.bytesAvailable() == 0 &&
               socket_.error() == QAbstractSocket::RemoteHostClosedError;
    }

private:
    QTcpSocket socket_;
};

using Visitors = std::vector<std::unique_ptr<Visitor>>;

Visitors come_in(const Chat& chat, int count) {
    Visitors visitors;
    for (int i = 0; i < count; ++i)
        visitors.push_back(std::make_unique<Visitor>(chat.lines));
    for (const auto& visitor : visitors)
        if (visitor->line() != "Welcome.\n") return {};
    return visitors;
}

const QByteArray kGoodbye = "This server restarts: come back at once.\n";

}  // namespace

class TestStreams : public QObject {
    Q_OBJECT
private slots:
    void everybody_hears_everybody();
    void a_cycle_tells_streams_to_finish_and_cuts_none();
    void a_cycle_closes_web_sockets_with_1001();
};

void TestStreams::everybody_hears_everybody() {
    Chat chat;
    const Visitors visitors = come_in(chat, 3);
    QCOMPARE(visitors.size(), std::size_t{3});
    visitors[1]->send("Good morning!\n");
    for (const auto& visitor : visitors)
        QCOMPARE(visitor->line(), QByteArray("Good morning!\n"));
    QCOMPARE(chat.stop(), 0);
}

void TestStreams::a_cycle_tells_streams_to_finish_and_cuts_none() {
    Chat chat;
    for (int round = 0; round < 3; ++round) {
        const Visitors idle = come_in(chat, 10);
        const Visitors typing = come_in(chat, 10);
        QCOMPARE(typing.size() + idle.size(), std::size_t{20});
        for (const auto& visitor : typing)
            visitor->send("half a ");
        // Everybody hears this, so the halves before it have been read.
        typing[0]->send("line\n");
        for (const Visitors* const all : {&idle, &typing})
            for (const auto& visitor : *all)
                QCOMPARE(visitor->line(), QByteArray("half a line\n"));
        typing[0]->send("half a ");
        ::kill(chat.arbiter(), SIGHUP);
        for (const auto& visitor : idle) {
            QCOMPARE(visitor->line(), kGoodbye);
            QVERIFY(visitor->ends());
        }
        // The successor serves while the predecessor waits for the lines that have begun.
        QCOMPARE(come_in(chat, 2).size(), std::size_t{2});
        for (const auto& visitor : typing) {
            visitor->send("sentence\n");
            QByteArray said = visitor->line();
            QCOMPARE(said, QByteArray("half a sentence\n"));
            while (said == "half a sentence\n")
                said = visitor->line();
            QCOMPARE(said, kGoodbye);
            QVERIFY(visitor->ends());
        }
    }
    QCOMPARE(chat.stop(), 0);
}

void TestStreams::a_cycle_closes_web_sockets_with_1001() {
    Chat chat;
    Visitor visitor(chat.web);
    visitor.send(
        "GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    QCOMPARE(visitor.line(), QByteArray("HTTP/1.1 101 Switching Protocols\r\n"));
    while (visitor.line() != "\r\n") {
    }
    QCOMPARE(visitor.exactly(10), QByteArray("\x81\x08Welcome."));
    ::kill(chat.arbiter(), SIGHUP);
    QCOMPARE(visitor.exactly(4), QByteArray("\x88\x02\x03\xe9"));
    visitor.send(QByteArray("\x88\x82\0\0\0\0\x03\xe9", 8));
    QVERIFY(visitor.ends());
    QCOMPARE(chat.stop(), 0);
}

QTEST_GUILESS_MAIN(TestStreams)
#include "test_streams.moc"
