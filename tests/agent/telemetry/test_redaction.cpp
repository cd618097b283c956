// Secrets do not leave the process: by name, in URLs, on command lines.
#include <QtTest>

#include "agent/telemetry/redaction.hpp"

using namespace signalbox::telemetry;

class TestRedaction : public QObject {
    Q_OBJECT
private slots:
    void variables_with_a_secret_name_are_hidden_data();
    void variables_with_a_secret_name_are_hidden();
    void secrets_in_a_text_are_hidden_and_the_rest_stays_data();
    void secrets_in_a_text_are_hidden_and_the_rest_stays();
    void secrets_on_a_command_line_are_hidden_data();
    void secrets_on_a_command_line_are_hidden();
    void no_password_of_any_kind_survives_in_a_url();
};

void TestRedaction::variables_with_a_secret_name_are_hidden_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<bool>("secret");
    for (const char* name :
         {"SECRET", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "DB_PASSWORD", "PGPASSWORD", "MYSQL_PASSWD",
          "api_key", "ApiKey", "GOOGLE_APPLICATION_CREDENTIALS", "BASIC_AUTH", "authorization",
          "SESSION_COOKIE", "session", "PRIVATE_PEM", "xTokenx", "my.secret.thing", "KEY"})
        QTest::newRow(name) << name << true;
    for (const char* name :
         {"", "PATH", "HOME", "LANG", "PGHOST", "TERM", "PASS", "K_E_Y", "USER", "LISTEN_FDS"})
        QTest::newRow(name) << name << false;
}

void TestRedaction::variables_with_a_secret_name_are_hidden() {
    QFETCH(QString, name);
    QFETCH(bool, secret);
    QCOMPARE(is_secret_name(name.toStdString()), secret);
    QCOMPARE(redact_value(name.toStdString(), "hunter2"), std::string(secret ? "(redacted)" : "hunter2"));
    QCOMPARE(redact_value(name.toStdString(), ""), std::string());  // that there is none is no secret
}

void TestRedaction::secrets_in_a_text_are_hidden_and_the_rest_stays_data() {
    QTest::addColumn<QString>("text");
    QTest::addColumn<QString>("clean");
    const auto hidden = [](const char* text, const char* clean) { QTest::newRow(text) << text << clean; };
    const auto kept = [&](const char* text) { hidden(text, text); };
    hidden("postgres://joe:hunter2@db/letters", "postgres://joe:(redacted)@db/letters");
    hidden("redis://:hunter2@cache:6379/0", "redis://:(redacted)@cache:6379/0");
    hidden("https://ghp_hunter2@github.com/a/b", "https://(redacted)@github.com/a/b");
    hidden("amqp://joe:hun/ter?2#@mq:5672", "amqp://joe:(redacted)@mq:5672");
    hidden("ftp://joe:hunt@er2@host/", "ftp://joe:(redacted)@host/");
    hidden("a http://u:p@h1/ b http://u:p@h2/ c", "a http://u:(redacted)@h1/ b http://u:(redacted)@h2/ c");
    hidden("mongodb://joe:hunter2@h1:1,h2:2/db", "mongodb://joe:(redacted)@h1:1,h2:2/db");
    hidden("jdbc:mysql://joe:hunter2@db/x", "jdbc:(redacted)@db/x");
    hidden("proxy='http://joe:hunter2@proxy'", "proxy='http://joe:(redacted)@proxy'");
    hidden("root:hunter2@tcp(localhost:3306)/db", "root:(redacted)@tcp(localhost:3306)/db");
    hidden("HTTP://JOE:HUNTER2@HOST", "HTTP://JOE:(redacted)@HOST");
    hidden("host=db user=joe password=hunter2 port=5432", "host=db user=joe password=(redacted) port=5432");
    hidden("password='hunter 2' port=1", "password=(redacted) port=1");
    hidden("password = hunter2", "password = (redacted)");
    hidden("https://api/?access_token=hunter2&page=2", "https://api/?access_token=(redacted)&page=2");
    hidden("Server=db;Password=hunter2;Port=1", "Server=db;Password=(redacted);Port=1");
    hidden("Authorization: Bearer hunter2", "Authorization: (redacted)");
    hidden(R"({"user":"joe","password":"hunter2"})", R"({"user":"joe","password":(redacted))");
    hidden("x\n-----BEGIN RSA PRIVATE KEY-----\nMIIE", "(redacted)");
    kept("");
    kept("plain words");
    kept("/usr/local/bin:/usr/bin:/bin");
    kept("/opt/letters:/opt/python@3/bin");
    kept("http://host:8080/path");
    kept("http://host/@user/page");
    kept("unix:/run/mailroom/agent.sock");
    kept("127.0.0.1:8080");
    kept("[::1]:8080");
    kept("joe@example.com");
    kept("the password is set");
    kept("a://");
    kept("://@");
    kept("@");
    kept("key=");
}

void TestRedaction::secrets_in_a_text_are_hidden_and_the_rest_stays() {
    QFETCH(QString, text);
    QTEST(QString::fromStdString(redact_text(text.toStdString())), "clean");
}

void TestRedaction::secrets_on_a_command_line_are_hidden_data() {
    QTest::addColumn<QStringList>("given");
    QTest::addColumn<QStringList>("clean");
    const auto row = [](QStringList given, QStringList clean) {
        QTest::newRow(qPrintable(given.join(' '))) << given << clean;
    };
    row({"mailroom", "--workers", "2"}, {"mailroom", "--workers", "2"});
    row({"s", "--password=hunter2", "x"}, {"s", "--password=(redacted)", "x"});
    row({"s", "--password=", "x"}, {"s", "--password=(redacted)", "x"});
    row({"s", "--token", "hunter2", "x"}, {"s", "--token", "(redacted)", "x"});
    row({"s", "-token", "hunter2"}, {"s", "-token", "(redacted)"});
    row({"s", "--token", "--hunter2"}, {"s", "--token", "(redacted)"});
    row({"s", "--token", "--password", "hunter2"}, {"s", "--token", "(redacted)", "(redacted)"});
    row({"s", "--authenticate", "--token=hunter2"}, {"s", "--authenticate", "(redacted)"});
    row({"s", "--API-Key", "hunter2"}, {"s", "--API-Key", "(redacted)"});
    row({"s", "--db", "postgres://joe:hunter2@db"}, {"s", "--db", "postgres://joe:(redacted)@db"});
    row({"s", "--db=postgres://joe:hunter2@db"}, {"s", "--db=postgres://joe:(redacted)@db"});
    row({"s", "-H", "Authorization: Bearer hunter2"}, {"s", "-H", "Authorization: (redacted)"});
    row({"s", "DB_PASSWORD=hunter2"}, {"s", "DB_PASSWORD=(redacted)"});
    row({"s", "--env", "TOKEN=hunter2"}, {"s", "--env", "TOKEN=(redacted)"});
    row({"s", "--env=TOKEN=hunter2"}, {"s", "--env=TOKEN=(redacted)"});
    row({"s", "--token:hunter2"}, {"s", "--token"});
    row({"s", "--token"}, {"s", "--token"});
    row({}, {});
}

void TestRedaction::secrets_on_a_command_line_are_hidden() {
    QFETCH(QStringList, given);
    std::vector<std::string> arguments;
    for (const QString& argument : given)
        arguments.push_back(argument.toStdString());
    QStringList clean;
    for (const std::string& argument : redact_arguments(arguments))
        clean.push_back(QString::fromStdString(argument));
    QTEST(clean, "clean");
}

/// Whatever bytes a password has, other than a space or a quote, which no URL can hold.
void TestRedaction::no_password_of_any_kind_survives_in_a_url() {
    for (int c = 0; c < 256; ++c) {
        const char byte = static_cast<char>(c);
        if (std::string_view(" \t\r\n\v\f\"'").find(byte) != std::string_view::npos) continue;
        for (const char* scheme : {"http://", "x-y+z.1://", "see http://"}) {
            const std::string password = std::string("Pa") + byte + "Pa";
            const std::string clean = redact_text(scheme + ("joe:" + password) + "@host:80/path");
            QVERIFY2(clean.find("Pa") == std::string::npos, clean.c_str());
            QVERIFY2(clean.ends_with("@host:80/path"), clean.c_str());
        }
    }
}

QTEST_GUILESS_MAIN(TestRedaction)
#include "test_redaction.moc"
