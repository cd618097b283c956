// The program as scripts run it.
#include <QImage>
#include <QProcess>
#include <QTemporaryDir>
#include <QTest>

#include "console/app/command_line.hpp"
#include "tests/console/fakeagent/synthetic_agent.hpp"

using namespace signalbox;

namespace {

struct Outcome {
    int code = -1;
    QString out;
    QString err;
};

class TestCommandLine : public QObject {
    Q_OBJECT

    QTemporaryDir directory_;
    std::unique_ptr<test::SyntheticAgent> agent_;

    QString url() const { return QString::fromStdString(agent_->url()); }
    QString file(const char* name) const { return directory_.filePath(QLatin1String(name)); }

    Outcome run(const QStringList& arguments) const {
        QProcess process;
        auto environment = QProcessEnvironment::systemEnvironment();
        for (const auto* name : {"DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM", "QT_SCALE_FACTOR"})
            environment.remove(QLatin1String(name));
        environment.insert("XDG_CONFIG_HOME", directory_.filePath("config"));
        process.setProcessEnvironment(environment);
        process.start(qEnvironmentVariable("SIGNALBOX_BIN_DIR") + "/signalbox", arguments);
        if (!process.waitForFinished(60'000)) {
            process.kill();
            process.waitForFinished();
            return {};
        }
        return {process.exitCode(), QString::fromUtf8(process.readAllStandardOutput()),
                QString::fromUtf8(process.readAllStandardError())};
    }

private Q_SLOTS:
    void init() {
        if (qEnvironmentVariable("SIGNALBOX_BIN_DIR").isEmpty())
            QSKIP("run by ctest, which says where the programs are");
        agent_ = std::make_unique<test::SyntheticAgent>(file("agent.sock").toStdString());
    }
    void cleanup() { agent_.reset(); }

    void a_picture_has_the_size_asked_for_data() {
        QTest::addColumn<QString>("size");
        QTest::addColumn<QSize>("expected");
        QTest::newRow("laptop") << "1280x800" << QSize(1280, 800);
        QTest::newRow("dense screen") << "3840x2160" << QSize(3840, 2160);
    }
    void a_picture_has_the_size_asked_for() {
        QFETCH(QString, size);
        QFETCH(QSize, expected);
        const auto outcome = run({"--connect", url(), "--screenshot", file("shot.png"), "--after", "0.5",
                                  "--size", size, "--theme", "dark"});
        QVERIFY2(outcome.code == 0, qPrintable(outcome.err));
        QCOMPARE(QImage(file("shot.png")).size(), expected);
    }

    void cycling_goes_the_way_of_a_click() {
        const auto outcome =
            run({"--connect", url(), "--screenshot", file("cycled.png"), "--after", "0.5", "--cycle", "1"});
        QVERIFY2(outcome.code == 0, qPrintable(outcome.err));
        QCOMPARE(agent_->calls("worker.cycle").size(), 1u);
        QCOMPARE(agent_->calls("worker.cycle").front().at("slot").get<int>(), 1);
        QVERIFY(!QImage(file("cycled.png")).isNull());
    }

    void a_refused_cycle_fails() {
        agent_->failNext("worker.cycle", -32003, "slot 1 is already being cycled");
        const auto outcome =
            run({"--connect", url(), "--screenshot", file("no.png"), "--after", "0", "--cycle", "1"});
        QCOMPARE(outcome.code, 1);
        QVERIFY2(outcome.err.contains("already being cycled"), qPrintable(outcome.err));
    }

    void checking_says_what_the_agent_reports() {
        const auto outcome = run({"--connect", url(), "--check"});
        QVERIFY2(outcome.code == 0, qPrintable(outcome.err));
        QVERIFY2(outcome.out.contains("mailroom on mx1.example.net, 4 of 4 workers ready"),
                 qPrintable(outcome.out));
    }

    void an_agent_that_cannot_be_reached_fails() {
        const auto outcome = run({"--connect", "unix:" + file("nobody.sock"), "--check"});
        QCOMPARE(outcome.code, 1);
        QVERIFY2(outcome.err.contains("nobody.sock"), qPrintable(outcome.err));
    }

    void without_an_agent_the_welcome_page_is_pictured() {
        const auto outcome = run({"--screenshot", file("welcome.png")});
        QVERIFY2(outcome.code == 0, qPrintable(outcome.err));
        QVERIFY(!QImage(file("welcome.png")).isNull());
    }

    void what_makes_no_sense_is_refused_data() {
        QTest::addColumn<QStringList>("arguments");
        QTest::newRow("size") << QStringList{"--size", "huge"};
        QTest::newRow("theme") << QStringList{"--theme", "pink"};
        QTest::newRow("view") << QStringList{"--view", "moon"};
        QTest::newRow("after") << QStringList{"--after", "-1"};
        QTest::newRow("slot") << QStringList{"--select", "first"};
        QTest::newRow("check without agent") << QStringList{"--check"};
        QTest::newRow("cycle without picture") << QStringList{"--cycle", "1"};
        QTest::newRow("stray") << QStringList{"unix:/x"};
        QTest::newRow("unknown") << QStringList{"--frobnicate"};
    }
    void what_makes_no_sense_is_refused() {
        QFETCH(QStringList, arguments);
        QVERIFY(!console::parseCommandLine(QStringList{"signalbox"} + arguments).problem.isEmpty());
    }
};

}  // namespace

QTEST_GUILESS_MAIN(TestCommandLine)
#include "test_command_line.moc"
