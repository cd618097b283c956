// The programs themselves: mailroom answering curl, and signalbox-load's exit status.
#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>
#include <QTcpServer>
#include <QTcpSocket>
#include <QTemporaryDir>
#include <QTest>
#include <memory>

namespace {

constexpr int kPatience = 20'000;  // milliseconds

QString program(const QString& name) {
    return qEnvironmentVariable("SIGNALBOX_BIN_DIR") + "/" + name;
}

struct Finished {
    int status = -1;
    QByteArray output;
    QByteArray errors;
};

Finished run(const QString& name, const QStringList& arguments, const QByteArray& input = {}) {
    QProcess process;
    process.start(name, arguments);
    process.write(input);
    process.closeWriteChannel();
    Finished finished;
    if (process.waitForFinished(kPatience) && process.exitStatus() == QProcess::NormalExit)
        finished.status = process.exitCode();
    finished.output = process.readAllStandardOutput();
    finished.errors = process.readAllStandardError();
    return finished;
}

/// A running mailroom; ends with the object.
class Mailroom {
public:
    explicit Mailroom(const QStringList& arguments) {
        process_.setProcessChannelMode(QProcess::ForwardedErrorChannel);
        process_.start(program("mailroom"), QStringList{"--quiet"} + arguments);
    }
    ~Mailroom() { stop(); }

    /// The address of the next listener that it announces.
    QString next_address() {
        while (!process_.canReadLine())
            if (!process_.waitForReadyRead(kPatience)) return {};
        const QString line = process_.readLine().trimmed();
        const QString announcement = "listening on ";
        return line.startsWith(announcement) ? line.mid(announcement.size()) : QString();
    }

    /// The exit status after SIGTERM.
    int stop() {
        if (process_.state() != QProcess::NotRunning) process_.terminate();
        if (process_.state() != QProcess::NotRunning && !process_.waitForFinished(kPatience)) process_.kill();
        process_.waitForFinished(kPatience);
        return process_.exitStatus() == QProcess::NormalExit ? process_.exitCode() : -1;
    }

private:
    QProcess process_;
};

Finished curl(const QStringList& arguments, const QByteArray& input = {}) {
    return run("curl", QStringList{"--silent", "--max-time", "20"} + arguments, input);
}

const QByteArray kSpam = "Subject: YOU ARE THE WINNER!!\n\nClaim your lottery prize of a million dollars.\n";

}  // namespace

class MailroomTest : public QObject {
    Q_OBJECT

private slots:
    void it_answers_curl() {
        Mailroom mailroom({"--listen", "127.0.0.1:0"});
        const QString url = "http://" + mailroom.next_address();
        QCOMPARE(curl({url + "/hello"}).output, QByteArray("Hello!\n"));

        const Finished verdict = curl({"--data-binary", "@-", url + "/classify"}, kSpam);
        const QJsonObject document = QJsonDocument::fromJson(verdict.output).object();
        QCOMPARE(document["verdict"].toString(), QString("spam"));
        QVERIFY(document["score"].toDouble() > 0.9 && document["score"].toDouble() <= 1);
        QVERIFY(!document["reasons"].toArray().isEmpty());

        const QStringList only_status = {"--output", "/dev/null", "--write-out", "%{http_code}"};
        QCOMPARE(curl(only_status + QStringList{"--data", "", url + "/classify"}).output, QByteArray("400"));
        QCOMPARE(curl(only_status + QStringList{"--data", "", url + "/misbehave/crash"}).output,
                 QByteArray("404"));
        QCOMPARE(mailroom.stop(), 0);
    }

    void each_listener_is_announced() {
        const QTemporaryDir directory;
        const QString path = directory.filePath("http.sock");
        Mailroom mailroom({"--listen", "127.0.0.1:0", "--listen", "unix:" + path});
        QVERIFY(mailroom.next_address().startsWith("127.0.0.1:"));
        QCOMPARE(mailroom.next_address(), "unix:" + path);
        QCOMPARE(curl({"--unix-socket", path, "http://localhost/hello"}).output, QByteArray("Hello!\n"));
    }

    void its_instruments_are_counted() {
        const QTemporaryDir directory;
        const QString agent = directory.filePath("agent.sock");
        Mailroom mailroom({"--listen", "127.0.0.1:0", "--agent", agent});
        const QString url = "http://" + mailroom.next_address();
        QVERIFY(!curl({"--data-binary", "@-", url + "/classify"}, kSpam).output.isEmpty());
        const QStringList scrape = {"--unix-socket", agent, "http://localhost/metrics"};
        QTRY_VERIFY_WITH_TIMEOUT(curl(scrape).output.contains("letters_total{verdict=\"spam\"} 1\n"),
                                 kPatience);
        const QByteArray metrics = curl(scrape).output;
        QVERIFY(metrics.contains("letters_total{verdict=\"ham\"} 0\n"));
        QVERIFY(metrics.contains("scoring_duration_seconds_count 1\n"));
        QVERIFY(metrics.contains("letter_bytes_sum " + QByteArray::number(kSpam.size()) + "\n"));
        QVERIFY(metrics.contains("letter_transitions_total{from=\"scoring\",to=\"answering\"} 1\n"));
        QVERIFY(metrics.contains("letter_state_duration_seconds_count{state=\"parsing\"} 1\n"));
    }

    void every_letter_is_an_action() {
        const QTemporaryDir directory;
        const QString agent = directory.filePath("agent.sock");
        Mailroom mailroom({"--listen", "127.0.0.1:0", "--agent", agent, "--log", directory.filePath("log")});
        const QString url = "http://" + mailroom.next_address();
        QVERIFY(!curl({"--data-binary", "@-", url + "/classify"}, kSpam).output.isEmpty());
        curl({"--data", "", url + "/classify"});
        const QStringList scrape = {"--unix-socket", agent, "http://localhost/metrics"};
        for (const char* outcome : {"success", "failure"})
            QTRY_VERIFY_WITH_TIMEOUT(
                curl(scrape).output.contains(QByteArray("actions_total{action=\"classify\",outcome=\"") +
                                             outcome + "\"} 1\n"),
                kPatience);
        QCOMPARE(mailroom.stop(), 0);
        QFile log(directory.filePath("log"));
        QVERIFY(log.open(QIODevice::ReadOnly));
        const QJsonObject failure = QJsonDocument::fromJson(log.readAll()).object();
        QCOMPARE(failure["name"].toString(), QString("classify"));
        QCOMPARE(failure["text"].toString(), QString("the body is empty"));
        QCOMPARE(failure["fields"].toObject()["bytes"].toInt(-1), 0);
    }

    void it_misbehaves_on_request_and_goes_on_serving() {
        Mailroom mailroom({"--listen", "127.0.0.1:0", "--allow-misbehaviour"});
        const QString url = "http://" + mailroom.next_address();
        const auto post = [&](const QString& path) {
            return curl({"--request", "POST", url + "/misbehave/" + path});
        };
        QCOMPARE(post("sleep?milliseconds=10").output, QByteArray("Slept.\n"));
        QCOMPARE(post("block?milliseconds=10").output, QByteArray("Blocked.\n"));
        QVERIFY(post("spin?seconds=0.01").output.startsWith("Spun "));
        QCOMPARE(post("leak?bytes=1MiB").output, QByteArray("Keeping 1048576 bytes more.\n"));
        QVERIFY(post("spin?seconds=soon").output.startsWith("Needs ?seconds="));
        QVERIFY(post("crash").output.isEmpty());
        QVERIFY(post("exit?status=3").output.isEmpty());
        QTRY_COMPARE_WITH_TIMEOUT(curl({url + "/hello"}).output, QByteArray("Hello!\n"), kPatience);
    }

    void wrong_values_are_refused_with_what_would_be_right_data() {
        QTest::addColumn<QStringList>("arguments");
        QTest::addColumn<QByteArray>("complaint");
        const auto row = [](const char* name, const QStringList& arguments, const char* complaint) {
            QTest::newRow(name) << arguments << QByteArray(complaint);
        };
        row("no workers", {"--workers", "0"}, "--workers");
        row("no size", {"--memory-limit", "12parsecs"}, "'512MiB'");
        row("no unit", {"--queue-deadline", "5"}, "--queue-deadline: '5' is not a duration; try '250ms'");
        row("too long", {"--drain-deadline", "99999999min"}, "its maximum of 24h");
        row("no capacity", {"--queue-capacity", "-1"}, "--queue-capacity");
        row("TLS without certificate", {"--agent-tls", "127.0.0.1:0"},
            "agent_tls.certificate: agent_tls needs it");
        row("a certificate without its key", {"--tls-cert", "/dev/null"},
            "listeners.web.tls.key: TLS needs it");
        row("no network", {"--trusted-proxy", "10.0.0.0/33"}, "'10.0.0.0/33' is no network; try");
        row("no such file", {"--tls-cert", "/nonexistent/cert.pem", "--tls-key", "/dev/null"},
            "/nonexistent/cert.pem");
        row("no address", {"--listen", "nonsense"}, "nonsense");
        row("no such option", {"--bogus"}, "--bogus");
        row("a misspelt option", {"--wrokers=3"}, "did you mean '--workers'?");
        row("no setting of a listener", {"--listener", "web.bakclog=3"}, "did you mean 'backlog'?");
        row("no listener", {"--listener", "wep.backlog=3"}, "there is no listener 'wep'; there are: web");
    }
    void wrong_values_are_refused_with_what_would_be_right() {
        QFETCH(QStringList, arguments);
        QFETCH(QByteArray, complaint);
        const Finished finished = run(program("mailroom"), arguments);
        QCOMPARE(finished.status, 64);
        QVERIFY2(finished.errors.contains(complaint), finished.errors.constData());
    }

    void the_load_generator_says_how_it_went() {
        Mailroom mailroom({"--listen", "127.0.0.1:0"});
        const QString url = "http://" + mailroom.next_address();
        const QString load = program("signalbox-load");
        const Finished good =
            run(load, {url, "--scenario", "mailroom", "--rate", "100", "--duration", "0.5", "--json"});
        QCOMPARE(good.status, 0);
        const QJsonObject report = QJsonDocument::fromJson(good.output).object();
        QVERIFY(report["requests"].toInt() > 0);
        QCOMPARE(report["failed"].toInt(), 0);
        QCOMPARE(run(load, {url + "/nothing", "--duration", "0.1"}).status, 1);
        QCOMPARE(run(load, {"--rate"}).status, 2);
        QCOMPARE(run(load, {"nowhere"}).status, 2);
        QCOMPARE(run(load, {"--help"}).status, 0);
    }

    void the_load_generator_ends_on_a_signal_with_its_summary() {
        QTcpServer server;
        QVERIFY(server.listen(QHostAddress::LocalHost));
        QProcess load;
        load.start(program("signalbox-load"), {QString("http://127.0.0.1:%1/").arg(server.serverPort()),
                                               "--connections", "1", "--duration", "3600"});
        QVERIFY(server.waitForNewConnection(kPatience));
        QTcpSocket* connection = server.nextPendingConnection();
        const auto answer = [connection] {
            connection->readAll();
            connection->write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        };
        QVERIFY(connection->waitForReadyRead(kPatience));
        load.terminate();
        answer();
        connect(connection, &QTcpSocket::readyRead, connection, answer);
        QTRY_COMPARE_WITH_TIMEOUT(load.state(), QProcess::NotRunning, kPatience);
        QCOMPARE(load.exitStatus(), QProcess::NormalExit);
        QCOMPARE(load.exitCode(), 0);
        QVERIFY(load.readAllStandardOutput().startsWith("requests"));
    }
};

QTEST_GUILESS_MAIN(MailroomTest)
#include "test_mailroom.moc"
