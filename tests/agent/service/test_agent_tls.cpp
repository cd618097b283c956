// The agent's TLS port, with certificates made for the test: who gets in, and who may act.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <QProcess>
#include <QTest>
#include <memory>
#include <nlohmann/json.hpp>

#include "tests/agent/service/agent_child.hpp"
#include "tests/agent/service/fake_group.hpp"
#include "tests/support/certificates.hpp"

using namespace signalbox;
using nlohmann::json;

class TestAgentTls : public QObject {
    Q_OBJECT
private slots:
    void initTestCase();
    void cleanupTestCase();
    void an_operator_may_act();
    void a_viewer_may_look_but_not_act();
    void without_a_certificate_nobody_gets_in();
    void a_certificate_of_another_authority_is_refused();
    void tls_1_2_is_refused();
    void check_tls_names_the_file_that_is_wrong();

private:
    ProgramOutput curl(const QStringList& more, const QString& target) const;
    static QString command(const char* method) {
        return QString::fromStdString(json{{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}}.dump());
    }
    QStringList as(const QString& name) const { return certificates_.client(name); }
    AgentTls tls() const;

    Certificates certificates_;
    std::unique_ptr<FakeGroup> group_;
    std::unique_ptr<AgentChild> agent_;
    QString url_;
};

AgentTls TestAgentTls::tls() const {
    AgentTls tls;
    tls.certificate = certificates_.file("server.pem");
    tls.key = certificates_.file("server.key");
    tls.client_authority = certificates_.file("authority.pem");
    tls.operators = {"alice"};
    return tls;
}

void TestAgentTls::initTestCase() {
    certificates_.make("alice");
    certificates_.make("bob");
    certificates_.make("two", {.subject = "/CN=alice/CN=bob"});
    certificates_.make("mallory", {.authority = "stranger", .subject = "/CN=alice"});

    const int listener = service::bind_agent_port("127.0.0.1:0").descriptor;
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    url_ = QString("https://127.0.0.1:%1").arg(ntohs(address.sin_port));
    group_ = std::make_unique<FakeGroup>();
    agent_ = std::make_unique<AgentChild>(group_->segment().descriptor(), listener, tls());
    ::close(listener);
}

void TestAgentTls::cleanupTestCase() {
    agent_->hang_up();
    QCOMPARE(agent_->wait(), 0);
}

ProgramOutput TestAgentTls::curl(const QStringList& more, const QString& target) const {
    return ::curl(certificates_.trust() + more + QStringList{url_ + target});
}

void TestAgentTls::an_operator_may_act() {
    QProcess curling;
    curling.start("curl", QStringList{"-sS"} + certificates_.trust() + as("alice") +
                              QStringList{"-d", command("group.cycle"), url_ + "/rpc"});
    const auto asked = agent_->next_command();
    QVERIFY(asked);
    QCOMPARE(QString(asked->principal), "alice");
    supervisor::Answer answer;
    answer.id = asked->id;
    agent_->answer(answer);
    QVERIFY(curling.waitForFinished());
    QVERIFY(json::parse(curling.readAll().toStdString()).contains("result"));
}

void TestAgentTls::a_viewer_may_look_but_not_act() {
    QCOMPARE(curl(as("bob"), "/healthz").out, QByteArray("ok\n"));
    const json looked =
        json::parse(curl(as("bob") + QStringList{"-d", command("workers.list")}, "/rpc").out.toStdString());
    QVERIFY(looked.contains("result"));
    const json acted =
        json::parse(curl(as("bob") + QStringList{"-d", command("group.cycle")}, "/rpc").out.toStdString());
    QVERIFY(acted["error"]["code"] == -32001);
}

void TestAgentTls::without_a_certificate_nobody_gets_in() {
    const ProgramOutput nobody = curl({}, "/healthz");
    QVERIFY(nobody.status != 0);
    QVERIFY(!nobody.all.contains("ok\n"));
}

void TestAgentTls::a_certificate_of_another_authority_is_refused() {
    QVERIFY(curl(as("mallory"), "/healthz").status != 0);
    QVERIFY(curl(as("two"), "/healthz").status != 0);  // whose name could be read either way
    QCOMPARE(curl(as("alice"), "/healthz").out, QByteArray("ok\n"));
}

void TestAgentTls::tls_1_2_is_refused() {
    QVERIFY(curl(as("alice") + QStringList{"--tls-max", "1.2"}, "/healthz").status != 0);
}

void TestAgentTls::check_tls_names_the_file_that_is_wrong() {
    service::check_tls(tls());
    const auto complaint = [](const AgentTls& wrong) -> QString {
        try {
            service::check_tls(wrong);
        } catch (const std::invalid_argument& error) {
            return error.what();
        }
        return "none";
    };
    AgentTls wrong = tls();
    wrong.certificate = "/nonexistent.pem";
    QVERIFY(complaint(wrong).contains("certificate '/nonexistent.pem'"));
    wrong = tls();
    wrong.key = certificates_.file("bob.key");
    QVERIFY2(complaint(wrong).contains("bob.key"), qPrintable(complaint(wrong)));
    wrong = tls();
    wrong.client_authority = certificates_.file("nothing.pem");
    QVERIFY(complaint(wrong).contains("nothing.pem"));
}

QTEST_GUILESS_MAIN(TestAgentTls)
#include "test_agent_tls.moc"
