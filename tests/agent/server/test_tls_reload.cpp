// New certificates without a restart: what clients and operators see.
#include <sys/wait.h>
#include <unistd.h>

#include <QProcess>
#include <QTest>
#include <fstream>

#include "agent/server/transport/tls_files.hpp"
#include "server_test_main.hpp"
#include "tests/support/certificates.hpp"
#include "worker_process.hpp"

using namespace signalbox;

class TlsReloadTest : public QObject {
    Q_OBJECT

private slots:
    void init() {
        certificates_ = std::make_unique<Certificates>();
        certificates_->make("next");
        worker_ = std::make_unique<WorkerProcesses>(test_router(),
                                                    ListenerOptions{.tls = server_tls(*certificates_)});
        worker_->start();
    }
    void cleanup() {
        worker_.reset();
        certificates_.reset();
    }

    void the_newest_good_files_are_kept_for_other_processes();
    void files_that_are_too_long_are_not_kept();
    void new_files_are_served_and_no_request_fails_meanwhile();
    void a_connection_that_is_open_goes_on();
    void a_broken_certificate_keeps_the_old_one();
    void a_key_that_does_not_belong_keeps_the_old_one();
    void a_broken_file_that_is_mended_is_served();
    void a_worker_that_starts_on_broken_files_serves_the_last_good_ones();

private:
    /// "CN = server"
    QByteArray subject() const {
        const QByteArray out = s_client(worker_->address(), {}).out;
        const int begin = out.indexOf("subject=");
        return out.mid(begin + 8, out.indexOf('\n', begin) - begin - 8);
    }
    void replace_certificate() {
        certificates_->put("next.pem", "server.pem");
        certificates_->put("next.key", "server.key");
    }
    std::uint64_t reloads(const char* result) {
        return worker_->counter("tls_reloads_total", {{"result", result}});
    }
    QString url() const { return "https://" + QString::fromStdString(worker_->address()) + "/hello"; }

    std::unique_ptr<Certificates> certificates_;
    std::unique_ptr<WorkerProcesses> worker_;
};

void TlsReloadTest::the_newest_good_files_are_kept_for_other_processes() {
    server::LastGoodFiles last_good;
    QVERIFY(!last_good.newest());
    for (int i = 0; i < 10; ++i) {
        const server::TlsFiles files{.certificate = std::string(100, static_cast<char>('a' + i)),
                                     .key = "key " + std::to_string(i),
                                     .client_authority = {}};
        const pid_t child = ::fork();
        if (child == 0) {
            last_good.keep(files);
            ::_exit(0);
        }
        ::waitpid(child, nullptr, 0);
        QVERIFY(last_good.newest() == files);
    }
}

void TlsReloadTest::files_that_are_too_long_are_not_kept() {
    server::LastGoodFiles last_good;
    const server::TlsFiles files{.certificate = "c", .key = "k", .client_authority = "a"};
    last_good.keep(files);
    last_good.keep(
        {.certificate = std::string(server::LastGoodFiles::kMost, 'c'), .key = "k", .client_authority = {}});
    QVERIFY(last_good.newest() == files);
}

void TlsReloadTest::new_files_are_served_and_no_request_fails_meanwhile() {
    QCOMPARE(subject(), QByteArray("CN = server"));
    // A new connection for each request, until it is told to stop: curl takes its URLs from a pattern.
    QProcess load;
    load.start("curl",
               QStringList{"--silent", "--show-error", "--noproxy", "*", "--fail", "--header",
                           "Connection: close", "--write-out", "%{http_code}\n", "--output", "/dev/null"} +
                   certificates_->trust() + QStringList{url() + "?[1-1000000]"});
    QVERIFY(load.waitForReadyRead(20'000));
    replace_certificate();
    QTRY_COMPARE_WITH_TIMEOUT(subject(), QByteArray("CN = next"), 20'000);
    QVERIFY(load.waitForReadyRead(20'000));
    QCOMPARE(load.state(), QProcess::Running);
    load.kill();
    QVERIFY(load.waitForFinished());
    const QByteArray codes = load.readAllStandardOutput();
    QVERIFY(codes.count("200\n") > 10);
    QCOMPARE(codes.left(codes.lastIndexOf('\n') + 1).replace("200\n", ""), QByteArray());
    QCOMPARE(load.readAllStandardError(), QByteArray());
    QCOMPARE(reloads("done"), 1u);
    const auto events = worker_->events("tls_reloaded");
    QCOMPARE(events.size(), 1u);
    QVERIFY2(events[0].find("CN = next, valid until ") != std::string::npos, events[0].c_str());
}

void TlsReloadTest::a_connection_that_is_open_goes_on() {
    QProcess client;
    client.start("openssl", {"s_client", "-quiet", "-connect", QString::fromStdString(worker_->address())});
    const QByteArray request = "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n";
    QByteArray answers;
    const auto ask = [&] {
        client.write(request);
        const qsizetype before = answers.count("Hello!\n");
        while (answers.count("Hello!\n") == before && client.waitForReadyRead(20'000))
            answers += client.readAllStandardOutput();
        return answers.count("Hello!\n") == before + 1;
    };
    QVERIFY(ask());
    replace_certificate();
    QTRY_COMPARE_WITH_TIMEOUT(subject(), QByteArray("CN = next"), 20'000);
    QVERIFY(ask());
    client.kill();
    client.waitForFinished();
}

void TlsReloadTest::a_broken_certificate_keeps_the_old_one() {
    std::ofstream(certificates_->file("server.pem")) << "-----BEGIN CERTIFICATE-----\nnonsense\n";
    QTRY_COMPARE_WITH_TIMEOUT(reloads("refused"), 1u, 20'000);
    QCOMPARE(subject(), QByteArray("CN = server"));
    const auto events = worker_->events("tls_reload_failed");
    QCOMPARE(events.size(), 1u);
    QVERIFY2(events[0].find("keeps its old certificate. TLS certificate '" +
                            certificates_->file("server.pem")) != std::string::npos,
             events[0].c_str());
}

void TlsReloadTest::a_key_that_does_not_belong_keeps_the_old_one() {
    certificates_->put("next.key", "server.key");
    QTRY_COMPARE_WITH_TIMEOUT(reloads("refused"), 1u, 20'000);
    QCOMPARE(subject(), QByteArray("CN = server"));
    const auto events = worker_->events("tls_reload_failed");
    QCOMPARE(events.size(), 1u);
    QVERIFY2(events[0].find("does not belong to certificate '") != std::string::npos, events[0].c_str());
}

void TlsReloadTest::a_broken_file_that_is_mended_is_served() {
    certificates_->put("next.key", "server.key");
    QTRY_COMPARE_WITH_TIMEOUT(reloads("refused"), 1u, 20'000);
    certificates_->put("next.pem", "server.pem");
    QTRY_COMPARE_WITH_TIMEOUT(subject(), QByteArray("CN = next"), 20'000);
    QCOMPARE(reloads("done"), 1u);
}

void TlsReloadTest::a_worker_that_starts_on_broken_files_serves_the_last_good_ones() {
    replace_certificate();
    QTRY_COMPARE_WITH_TIMEOUT(subject(), QByteArray("CN = next"), 20'000);
    std::ofstream(certificates_->file("server.pem")) << "nonsense\n";
    worker_->start(1);
    QCOMPARE(worker_->stop(0), 0);
    QCOMPARE(subject(), QByteArray("CN = next"));
    QTRY_COMPARE_WITH_TIMEOUT(worker_->events("tls_reload_failed", 1).size(), 1u, 20'000);
}

SERVER_TEST_MAIN(TlsReloadTest)
#include "test_tls_reload.moc"
