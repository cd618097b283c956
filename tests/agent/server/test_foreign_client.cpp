#include <QProcess>
#include <QTemporaryFile>
#include <QTest>

#include "server_test_main.hpp"
#include "worker_process.hpp"

using namespace signalbox;

/// curl, a client that nobody here has written.
class ForeignClientTest : public QObject {
    Q_OBJECT

private slots:
    void init() {
        worker_ = std::make_unique<WorkerProcesses>(test_router());
        worker_->start();
    }
    void cleanup() {
        QCOMPARE(worker_->stop(0), 0);
        worker_.reset();
    }

    void gets_twice_on_one_connection();
    void sends_a_large_body_after_continue();
    void sends_chunks();
    void reads_the_refusal_of_a_body_that_is_too_large();
    void gets_a_large_response();

private:
    QByteArray curl(const QStringList& arguments) {
        QProcess process;
        process.start("curl", QStringList{"--http1.1", "--silent", "--show-error", "--max-time", "30",
                                          "--noproxy", "*"} +
                                  arguments);
        process.waitForFinished(40'000);
        return process.readAllStandardOutput() + process.readAllStandardError();
    }
    QString url(const char* path) const {
        return "http://" + QString::fromStdString(worker_->address()) + path;
    }

    std::unique_ptr<WorkerProcesses> worker_;
};

void ForeignClientTest::gets_twice_on_one_connection() {
    const QByteArray out = curl({"--write-out", "%{num_connects} ", url("/hello"), url("/query?x")});
    QCOMPARE(out, QByteArray("Hello!\n1 x0 "));
}

void ForeignClientTest::sends_a_large_body_after_continue() {
    QTemporaryFile file;
    QVERIFY(file.open());
    const QByteArray body(3 << 20, 'b');
    file.write(body);
    file.flush();
    QVERIFY(curl({"--data-binary", "@" + file.fileName(), "--header", "Expect: 100-continue",
                  url("/echo")}) == body);
}

void ForeignClientTest::sends_chunks() {
    QCOMPARE(curl({"--data-binary", "hello", "--header", "Transfer-Encoding: chunked", url("/echo")}),
             QByteArray("hello"));
}

void ForeignClientTest::reads_the_refusal_of_a_body_that_is_too_large() {
    QTemporaryFile file;
    QVERIFY(file.open());
    file.write(QByteArray(20 << 20, 'b'));
    file.flush();
    const QString data = "@" + file.fileName();
    QVERIFY(curl({"--data-binary", data, "--write-out", "%{http_code}", url("/echo")}).contains("413"));
    QVERIFY(curl({"--data-binary", data, "--header", "Expect:", "--write-out", "%{http_code}", url("/echo")})
                .contains("413"));
    QVERIFY(curl({"--data-binary", data, "--header", "Transfer-Encoding: chunked", "--header",
                  "Expect:", "--write-out", "%{http_code}", url("/echo")})
                .contains("413"));
}

void ForeignClientTest::gets_a_large_response() {
    QVERIFY(curl({url("/large")}) == QByteArray(8 << 20, 'x'));
}

SERVER_TEST_MAIN(ForeignClientTest)
#include "test_foreign_client.moc"
