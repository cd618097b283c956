// Workers that run short of descriptors: cycled before that if there is a limit, else they answer and go on.
#include <sys/resource.h>

#include <QJsonDocument>
#include <QJsonObject>
#include <QtTest>
#include <memory>
#include <vector>

#include "tests/system/running_group.hpp"

using namespace signalbox;
using tests::Load;
using tests::RawClient;
using tests::RunningGroup;
using tests::wait_for;

class TestDescriptors : public QObject {
    Q_OBJECT
private slots:
    void a_worker_that_leaks_files_is_cycled_before_it_runs_out();
    void without_descriptors_a_worker_answers_waits_and_serves_again();
};

namespace {

std::function<void()> with_descriptors(rlim_t count) {
    return [count] {
        const rlimit limit{.rlim_cur = count, .rlim_max = 4096};
        ::setrlimit(RLIMIT_NOFILE, &limit);
    };
}

void verify_no_failure(Load& load) {
    const QJsonObject summary = load.finish(true);
    QVERIFY2(summary["failed"].toInt(-1) == 0, QJsonDocument(summary).toJson());
    QVERIFY(summary["requests"].toInt() > 100);
}

}  // namespace

void TestDescriptors::a_worker_that_leaks_files_is_cycled_before_it_runs_out() {
    RunningGroup group(2, {"--quiet"}, with_descriptors(1024));
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    QCOMPARE(group.ctl({"set", "worker_open_files_limit", "120"}), 0);
    Load load(group.url() + "/hello", {"--rate", "300", "--duration", "100", "--new-connections"});
    const std::string leak = tests::request("POST /misbehave/leak-files?count=5");
    QVERIFY(wait_for([&] {
        const QByteArray status = RawClient(group, leak).status();
        if (status != "200") qWarning("the leak was answered '%s'", status.constData());
        return group.count("worker_exited") >= 2;
    }));
    QVERIFY2(group.text_of("open_files_limit")
                 .contains(QRegularExpression("is cycled: [0-9,]+ open files, limit 120\\.")),
             qPrintable(group.text_of("open_files_limit")));
    QCOMPARE(group.count("worker_died"), 0);
    QCOMPARE(group.counters()["connections_shed_total"], std::uint64_t{0});
    verify_no_failure(load);
}

void TestDescriptors::without_descriptors_a_worker_answers_waits_and_serves_again() {
    RunningGroup group(1, {"--quiet", "--drain-deadline", "1s"}, with_descriptors(128));
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    // On connections that are there already all goes on.
    Load load(group.url() + "/hello", {"--rate", "200", "--duration", "100", "--connections", "4"});
    QVERIFY(wait_for([&] { return group.worker(0).connections == 4; }));
    QCOMPARE(RawClient(group, tests::request("POST /misbehave/leak-files?count=1000")).status(),
             QByteArray("200"));
    std::vector<std::unique_ptr<RawClient>> patient;
    QVERIFY(wait_for([&] {
        patient.push_back(
            std::make_unique<RawClient>(group, tests::request("POST /misbehave/sleep?milliseconds=600000")));
        return group.counters()["connections_shed_total"] > 0;
    }));
    for (int request = 0; request < 20; ++request)
        QCOMPARE(RawClient(group, tests::request("GET /hello")).status(), QByteArray("503"));
    // It does not turn at full speed: once the reserve is taken again, accept4 fails once for each that comes.
    auto counters = group.counters();
    QVERIFY(counters["connections_shed_total"] >= 21);
    QVERIFY2(counters["accept_failures_total"] <= counters["connections_shed_total"] + 10,
             qPrintable(QString::number(counters["accept_failures_total"])));
    const rlimit more{.rlim_cur = 1024, .rlim_max = 4096};
    QCOMPARE(::prlimit(static_cast<pid_t>(group.worker(0).pid), RLIMIT_NOFILE, &more, nullptr), 0);
    QVERIFY(wait_for([&] { return RawClient(group, tests::request("GET /hello")).status() == "200"; }));
    QCOMPARE(group.worker(0).generation, 1u);
    const std::uint64_t answered = group.counters()["http_requests_total"];
    QVERIFY(wait_for([&] { return group.counters()["http_requests_total"] > answered + 100; }));
    verify_no_failure(load);
}

QTEST_GUILESS_MAIN(TestDescriptors)
#include "test_descriptors.moc"
