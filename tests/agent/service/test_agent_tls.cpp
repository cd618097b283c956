// The agent's TLS port, with certificates made for the test: who gets in, and who may act.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <QFile>
#include <QProcess>
#include <QTest>
#include <memory>
#include <nlohmann/json.hpp>

#include "tests/agent/service/agent_child.hpp"
#include "tests/agent/service/fake_group.hpp"

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
    QString file(const QString& name) const { return directory_.filePath(name); }
    void make_authority(const QString& name);
    void make_certificate(const QString& name, const QString& authority, const QString& subject);
    Output curl(const QStringList& more, const QString& target) const;
    static QString command(const char* method) {
        return QString::fromStdString(json{{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}}.dump());
    }
    QStringList as(const QString& name) const {
        return {"--cert", file(name + ".pem"), "--key", file(name + ".key")};
    }
    AgentTls tls() const;

    QTemporaryDir directory_;
    std::unique_ptr<FakeGroup> group_;
    std::unique_ptr<AgentChild> agent_;
    QString url_;
};

void TestAgentTls::make_authority(const QString& name) {
    const Output made =
        run("openssl",
            {"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=" + name, "-keyout", file(name + ".key"), "-out", file(name + ".pem")});
    QVERIFY2(made.status == 0, made.text.c_str());
}

void TestAgentTls::make_certificate(const QString& name, const QString& authority, const QString& subject) {
    QFile extensions(file("extensions"));
    QVERIFY(extensions.open(QIODevice::WriteOnly));
    extensions.write("subjectAltName=IP:127.0.0.1\n");
    extensions.close();
    const Output request =
        run("openssl", {"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                        subject, "-keyout", file(name + ".key"), "-out", file(name + ".csr")});
    QVERIFY2(request.status == 0, request.text.c_str());
    const Output made =
        run("openssl", {"x509", "-req", "-in", file(name + ".csr"), "-CA", file(authority + ".pem"), "-CAkey",
                        file(authority + ".key"), "-CAcreateserial", "-days", "2", "-extfile",
                        file("extensions"), "-out", file(name + ".pem")});
    QVERIFY2(made.status == 0, made.text.c_str());
}

AgentTls TestAgentTls::tls() const {
    AgentTls tls;
    tls.certificate = file("server.pem").toStdString();
    tls.key = file("server.key").toStdString();
    tls.client_authority = file("authority.pem").toStdString();
    tls.operators = {"alice"};
    return tls;
}

void TestAgentTls::initTestCase() {
    make_authority("authority");
    make_authority("stranger");
    make_certificate("server", "authority", "/CN=server");
    make_certificate("alice", "authority", "/CN=alice");
    make_certificate("bob", "authority", "/CN=bob");
    make_certificate("two", "authority", "/CN=alice/CN=bob");
    make_certificate("mallory", "stranger", "/CN=alice");

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

Output TestAgentTls::curl(const QStringList& more, const QString& target) const {
    return run("curl",
               QStringList{"-sS", "--cacert", file("authority.pem")} + more + QStringList{url_ + target});
}

void TestAgentTls::an_operator_may_act() {
    QProcess curling;
    curling.start("curl", QStringList{"-sS", "--cacert", file("authority.pem")} + as("alice") +
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
    QCOMPARE(curl(as("bob"), "/healthz").text, "ok\n");
    const json looked =
        json::parse(curl(as("bob") + QStringList{"-d", command("workers.list")}, "/rpc").text);
    QVERIFY(looked.contains("result"));
    const json acted = json::parse(curl(as("bob") + QStringList{"-d", command("group.cycle")}, "/rpc").text);
    QVERIFY(acted["error"]["code"] == -32001);
}

void TestAgentTls::without_a_certificate_nobody_gets_in() {
    const Output nobody = curl({}, "/healthz");
    QVERIFY(nobody.status != 0);
    QVERIFY(nobody.text.find("ok\n") == std::string::npos);
}

void TestAgentTls::a_certificate_of_another_authority_is_refused() {
    QVERIFY(curl(as("mallory"), "/healthz").status != 0);
    QVERIFY(curl(as("two"), "/healthz").status != 0);  // whose name could be read either way
    QCOMPARE(curl(as("alice"), "/healthz").text, "ok\n");
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
    wrong.key = file("bob.key").toStdString();
    QVERIFY2(complaint(wrong).contains("bob.key"), qPrintable(complaint(wrong)));
    wrong = tls();
    wrong.client_authority = file("nothing.pem").toStdString();
    QVERIFY(complaint(wrong).contains("nothing.pem"));
}

QTEST_GUILESS_MAIN(TestAgentTls)
#include "test_agent_tls.moc"
