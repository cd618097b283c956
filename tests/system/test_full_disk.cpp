// No room for the log: requests are served, what is lost is counted, and lines come again when there is room.
#include <sys/resource.h>

#include <QFileInfo>
#include <QJsonDocument>
#include <QJsonObject>
#include <QtTest>

#include "tests/system/running_group.hpp"

using namespace signalbox;
using tests::Load;
using tests::RunningGroup;
using tests::wait_for;

class TestFullDisk : public QObject {
    Q_OBJECT
private slots:
    void requests_do_not_notice_that_the_log_cannot_be_written();
};

namespace {

/// To a process, a file that may not grow is a disk without room: write(2) fails.
bool limit_file_size(pid_t pid, rlim_t bytes) {
    const rlimit limit{.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};
    return ::prlimit(pid, RLIMIT_FSIZE, &limit, nullptr) == 0;
}

QString metrics(const RunningGroup& group) {
    QProcess curl;
    curl.start("curl", {"-sS", "--unix-socket", group.agent_socket(), "http://localhost/metrics"});
    curl.waitForFinished();
    return QString::fromUtf8(curl.readAllStandardOutput());
}

}  // namespace

void TestFullDisk::requests_do_not_notice_that_the_log_cannot_be_written() {
    QTemporaryDir directory;
    const QString log = directory.filePath("log.jsonl");
    RunningGroup group(1, {"--quiet", "--log", log});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    const auto size = [&] { return QFileInfo(log).size(); };
    Load load(group.url() + "/hello", {"--rate", "200", "--duration", "100", "--connections", "8"});
    // Each of these fails, which is worth a line.
    Load bad(group.url() + "/classify", {"--method", "POST", "--rate", "500", "--duration", "100"});
    QVERIFY(wait_for([&] { return size() > 10'000; }));
    const auto worker = static_cast<pid_t>(group.worker(0).pid);
    QVERIFY(limit_file_size(worker, 16'000));
    QVERIFY(wait_for([&] { return group.counters()["log_dropped_total"] > 0; }, 60'000));
    const auto full = size();
    const QRegularExpression shown("^log_dropped_total\\{[^}]*reason=\"sink\"[^}]*\\} [1-9]",
                                   QRegularExpression::MultilineOption);
    QVERIFY(wait_for([&] { return metrics(group).contains(shown); }));
    QVERIFY(limit_file_size(worker, RLIM_INFINITY));
    QVERIFY(wait_for([&] { return size() > full + 10'000; }));
    QVERIFY(wait_for([&] {
        QFile file(log);
        return file.open(QFile::ReadOnly) && file.readAll().contains("\"log_dropped\"");
    }));
    const QJsonObject summary = load.finish(true);
    QVERIFY2(summary["failed"].toInt(-1) == 0, QJsonDocument(summary).toJson());
    const QJsonObject refused = bad.finish(true);
    QCOMPARE(refused["statuses"].toObject()["400"].toInt(), refused["requests"].toInt());
    QCOMPARE(group.worker(0).generation, 1u);
    QCOMPARE(group.stop(), 0);
}

QTEST_GUILESS_MAIN(TestFullDisk)
#include "test_full_disk.moc"
