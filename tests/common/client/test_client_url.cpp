#include <QTest>
#include <stdexcept>

#include "common/client/url.hpp"

using signalbox::client::Url;

class TestClientUrl : public QObject {
    Q_OBJECT

private Q_SLOTS:
    void a_good_url_is_taken_apart_data() {
        QTest::addColumn<std::string>("text");
        QTest::addColumn<std::string>("path");
        QTest::addColumn<std::string>("host");
        QTest::addColumn<int>("port");
        const std::string none;
        QTest::newRow("unix") << std::string("unix:/run/a b/agent.sock") << std::string("/run/a b/agent.sock")
                              << none << 0;
        QTest::newRow("relative") << std::string("unix:agent.sock") << std::string("agent.sock") << none << 0;
        QTest::newRow("name") << std::string("tls://box.example.org:9443") << none
                              << std::string("box.example.org") << 9443;
        QTest::newRow("IPv4") << std::string("tls://192.0.2.1:1") << none << std::string("192.0.2.1") << 1;
        QTest::newRow("IPv6") << std::string("tls://[2001:db8::1]:65535") << none
                              << std::string("2001:db8::1") << 65535;
    }
    void a_good_url_is_taken_apart() {
        QFETCH(std::string, text);
        const Url url = Url::parse(text);
        QTEST(url.path, "path");
        QTEST(url.host, "host");
        QTEST(int{url.port}, "port");
        QCOMPARE(url.to_string(), text);
        QVERIFY(Url::parse(url.to_string()) == url);
    }

    void an_empty_authority_may_be_written_before_a_path() {
        QCOMPARE(Url::parse("unix:///run/agent.sock").to_string(), std::string("unix:/run/agent.sock"));
    }

    void a_bad_url_is_refused_with_what_is_wrong_data() {
        QTest::addColumn<std::string>("text");
        QTest::addColumn<QString>("problem");
        const auto row = [](const std::string& text, const char* problem) {
            QTest::newRow(text.empty() ? "empty" : text.substr(0, 40).c_str()) << text << QString(problem);
        };
        row("", "starts with neither 'unix:' nor 'tls://'");
        row("/run/agent.sock", "starts with neither");
        row("https://host:1", "starts with neither");
        row("unix:", "path is missing");
        row("unix://host/run/x", "no host in its URL");
        row("unix:/" + std::string(107, 'x'), "longer than the 107 bytes");
        row("tls://host", "the port is missing");
        row("tls://:9443", "the host is missing");
        row("tls://host:", "the port '' is not a number");
        row("tls://host:0", "the port '0' is not a number");
        row("tls://host:65536", "the port '65536' is not a number");
        row("tls://host:9443/", "the port '9443/' is not a number");
        row("tls://ho st:9443", "characters that no host name has");
        row("tls://user@host:9443", "characters that no host name has");
        row("tls://::1:9443", "goes in brackets");
        row("tls://[::1:9443", "bracket around the IPv6 address is not closed");
        row("tls://[::1]9443", "the port is missing");
    }
    void a_bad_url_is_refused_with_what_is_wrong() {
        QFETCH(std::string, text);
        QFETCH(QString, problem);
        try {
            Url::parse(text);
            QFAIL("accepted");
        } catch (const std::invalid_argument& refusal) {
            QVERIFY2(QString(refusal.what()).contains(problem), refusal.what());
            QVERIFY2(QString(refusal.what()).contains("try 'unix:/run"), refusal.what());
        }
    }
};

QTEST_GUILESS_MAIN(TestClientUrl)
#include "test_client_url.moc"
