// A group in the background: who called it hears when it is ready, or what is wrong.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <QFile>
#include <QProcess>
#include <QTemporaryDir>
#include <QtTest>

#include "signalbox/group.hpp"
#include "tests/system/running_group.hpp"

using namespace signalbox;

class TestDaemon : public QObject {
    Q_OBJECT
private slots:
    void init();
    void cleanup();
    void the_caller_returns_when_all_workers_serve();
    void paths_stay_what_they_are_in_another_directory();
    void what_is_wrong_is_the_callers_to_read();
    void a_background_process_that_is_killed_is_said();
    void a_group_whose_workers_keep_failing_is_a_failure();
    void an_upgrade_stays_in_the_background();

private:
    QString file(const QString& name) const { return directory_->filePath(name); }
    pid_t number(const QString& name) const {
        QFile text(file(name));
        return text.open(QFile::ReadOnly) ? text.readAll().trimmed().toInt() : 0;
    }
    QStringList options() const {
        return {"--daemonize",
                "--pid-file",
                file("pid"),
                "--process-group-file",
                file("group"),
                "--segment",
                file("segment"),
                "--output",
                file("output"),
                "--listen",
                "unix:" + file("http.sock"),
                "--workers",
                "2"};
    }
    bool answers() const {
        return QProcess::execute("curl", {"-fsS", "-o", "/dev/null", "-m", "10", "--unix-socket",
                                          file("http.sock"), "http://localhost/hello"}) == 0;
    }
    /// The group is nobody's child but this process', once its caller has ended.
    bool has_ended(pid_t group) const {
        while (::waitpid(-group, nullptr, WNOHANG) > 0) {
        }
        return ::kill(-group, 0) != 0;
    }
    std::unique_ptr<QTemporaryDir> directory_;
};

void TestDaemon::init() {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    directory_ = std::make_unique<QTemporaryDir>();
}

void TestDaemon::cleanup() {
    if (const pid_t group = number("group"); group > 1) ::kill(-group, SIGKILL);
}

void TestDaemon::the_caller_returns_when_all_workers_serve() {
    QProcess caller;
    caller.start(tests::program("mailroom"), options());
    QVERIFY(caller.waitForFinished());
    QVERIFY2(caller.exitCode() == 0, caller.readAllStandardError());
    QVERIFY(answers());
    const pid_t arbiter = number("pid");
    QVERIFY(arbiter > 1);
    QCOMPARE(number("group"), arbiter);
    QCOMPARE(::getpgid(arbiter), arbiter);
    QVERIFY(::getsid(arbiter) != ::getsid(0) && ::getsid(arbiter) != arbiter);
    for (const char* descriptor : {"0", "1", "2"})
        QCOMPARE(QFile::symLinkTarget(QString("/proc/%1/fd/%2").arg(arbiter).arg(descriptor)),
                 QString("/dev/null"));
    QFile output(file("output"));
    QVERIFY(output.open(QFile::ReadOnly));
    QVERIFY(output.readAll().contains("group_started"));
    ::kill(-arbiter, SIGTERM);
    QTRY_VERIFY(has_ended(arbiter));
    QVERIFY(!QFile::exists(file("pid")) && !QFile::exists(file("group")));
}

void TestDaemon::paths_stay_what_they_are_in_another_directory() {
    QStringList relative{"--directory", "/"};
    for (const QString& option : options())
        relative << QString(option).replace(directory_->path() + "/", "");
    QProcess caller;
    caller.setWorkingDirectory(directory_->path());
    caller.start(tests::program("mailroom"), relative);
    QVERIFY(caller.waitForFinished());
    QVERIFY2(caller.exitCode() == 0, caller.readAllStandardError());
    QVERIFY(answers());
    const pid_t arbiter = number("pid");
    QCOMPARE(QFile::symLinkTarget(QString("/proc/%1/cwd").arg(arbiter)), QString("/"));
    QVERIFY(QFile::rename(file("output"), file("output.old")));
    ::kill(arbiter, SIGUSR1);
    QTRY_VERIFY(QFile::exists(file("output")));
    ::kill(-arbiter, SIGTERM);
    QTRY_VERIFY(has_ended(arbiter));
    QVERIFY(!QFile::exists(file("pid")) && !QFile::exists(file("group")));
}

void TestDaemon::what_is_wrong_is_the_callers_to_read() {
    QProcess caller;
    caller.start(tests::program("mailroom"), options() + QStringList{"--listen", "192.0.2.1:80"});
    QVERIFY(caller.waitForFinished());
    QCOMPARE(caller.exitCode(), 71);
    const QByteArray said = caller.readAllStandardError();
    QVERIFY2(said.endsWith("\nmailroom: 192.0.2.1:80: Cannot assign requested address\n"), said);
    QVERIFY(!QFile::exists(file("pid")));
}

void TestDaemon::a_background_process_that_is_killed_is_said() {
    QProcess caller;
    caller.start(tests::program("mailroom"), options() + QStringList{"--slow-start", "600s"});
    QTRY_VERIFY(number("group") > 1);
    QCOMPARE(caller.state(), QProcess::Running);
    const pid_t arbiter = number("pid");
    ::kill(arbiter, SIGKILL);
    QVERIFY(caller.waitForFinished());
    QCOMPARE(caller.exitCode(), 70);
    const QByteArray said = caller.readAllStandardError();
    QVERIFY2(said.contains("ended before it was ready: signal 9 (SIGKILL)"), said);
    QTRY_VERIFY(has_ended(arbiter));
}

void TestDaemon::a_group_whose_workers_keep_failing_is_a_failure() {
    int ends[2];
    QCOMPARE(::pipe(ends), 0);
    const pid_t caller = ::fork();
    if (caller == 0) {
        ::dup2(ends[1], STDERR_FILENO);
        GroupOptions options;
        options.name = "failing";
        options.workers = 1;
        options.anonymous_segment = true;
        options.daemonize = true;
        options.quiet = true;
        Group group(options);
        group.http("127.0.0.1:0", Router());
        group.after_fork([](unsigned) { throw std::runtime_error("no luck"); });
        ::_exit(group.run());
    }
    ::close(ends[1]);
    int status = -1;
    bool ended = false;
    QTRY_VERIFY_WITH_TIMEOUT(ended = ended || ::waitpid(caller, &status, WNOHANG) == caller, 30'000);
    QVERIFY(WIFEXITED(status));
    QCOMPARE(WEXITSTATUS(status), 69);
    QByteArray said(100'000, '\0');
    said.resize(static_cast<int>(std::max<ssize_t>(::read(ends[0], said.data(), 100'000), 0)));
    QVERIFY2(said.contains("worker 0, generation 1: process ") && said.contains(" ends: no luck\n"), said);
    QVERIFY2(said.contains("group_degraded"), said);
    ::close(ends[0]);
}

void TestDaemon::an_upgrade_stays_in_the_background() {
    QVERIFY(QProcess::execute(tests::program("mailroom"), options()) == 0);
    const pid_t old = number("pid");
    ::kill(old, SIGUSR2);
    QTRY_VERIFY_WITH_TIMEOUT(number("pid") != old && number("pid") > 1, 30'000);
    bool ended = false;
    QTRY_VERIFY(ended = ended || ::waitpid(old, nullptr, WNOHANG) == old);
    QVERIFY(answers());
    QCOMPARE(number("group"), old);  // the group's number stays
    QCOMPARE(::getpgid(number("pid")), old);
    ::kill(-old, SIGTERM);
    QTRY_VERIFY(has_ended(old));
    QVERIFY(!QFile::exists(file("pid")) && !QFile::exists(file("group")));
}

QTEST_GUILESS_MAIN(TestDaemon)
#include "test_daemon.moc"
