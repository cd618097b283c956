// What plain HTTP gets, without HTTP: Prometheus' own tool judges the metrics, and hostile text stays text.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <QProcess>
#include <QTest>

#include "agent/service/backlog.hpp"
#include "agent/service/metrics_text.hpp"
#include "agent/service/page.hpp"
#include "agent/service/pages.hpp"
#include "agent/telemetry/seat.hpp"
#include "tests/agent/service/fake_group.hpp"

using namespace signalbox;
using namespace signalbox::service;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view kHostile = "GET /<script>alert('1')</script>&\"\x1b[2J\xff";

/// A group with some of everything.
struct Busy {
    Busy() {
        Counter letters(group.telemetry, "letters_total", "Letters \\ of\nall kinds", {{"kind", "a\"b\\c"}});
        Counter spam(group.telemetry, "letters_total", "Letters \\ of\nall kinds", {{"kind", "spam"}});
        Counter never(group.telemetry, "never_total", "Never counted");
        Gauge open(group.telemetry, "boxes_open", "Open boxes");
        Duration scoring(group.telemetry, "scoring_duration_seconds", "Time to score");
        Distribution sizes(group.telemetry, "letter_size_bytes", "Sizes", "bytes");
        group.start_worker(0);
        group.start_worker(2);
        group.in_worker(0, [&] {
            letters.add(3);
            open.set(2.5);
            for (int i = 1; i <= 1000; ++i)
                scoring.record(1ms * i);
            sizes.record(0);
            sizes.record(3);
        });
        telemetry::SeatWriter(group.segment(), 0).begin_activity(kHostile);
        group.log("hostile", std::string(kHostile));
    }
    FakeGroup group{"<b>mailroom</b>"};
};

}  // namespace

class TestPages : public QObject {
    Q_OBJECT
private slots:
    void promtool_accepts_the_metrics();
    void metrics_have_the_group_s_totals();
    void histograms_are_cumulative_over_powers_of_two();
    void hostile_text_stays_text_on_the_page();
    void the_page_shows_the_quantiles_of_the_last_minute();
    void unknown_pages_are_none();
    void the_kernel_tells_how_many_connections_wait();
};

void TestPages::promtool_accepts_the_metrics() {
    Busy busy;
    const telemetry::SegmentView view(busy.group.segment().descriptor());
    const Feeds feeds(view, Clock::now());
    QProcess promtool;
    promtool.start("promtool", {"check", "metrics"});
    if (!promtool.waitForStarted()) QSKIP("promtool is not installed");
    promtool.write(QByteArray::fromStdString(metrics_text(feeds.totals(), feeds.catalogue())));
    promtool.closeWriteChannel();
    QVERIFY(promtool.waitForFinished());
    const QByteArray complaints = promtool.readAllStandardError() + promtool.readAllStandardOutput();
    QVERIFY2(promtool.exitCode() == 0, complaints);
}

void TestPages::metrics_have_the_group_s_totals() {
    Busy busy;
    const telemetry::SegmentView view(busy.group.segment().descriptor());
    const Feeds feeds(view, Clock::now());
    const QString text = QString::fromStdString(metrics_text(feeds.totals(), feeds.catalogue()));
    for (const char* line :
         {"# HELP letters_total Letters \\\\ of\\nall kinds\n", "# TYPE letters_total counter\n",
          "letters_total{kind=\"a\\\"b\\\\c\"} 3\n", "letters_total{kind=\"spam\"} 0\n", "never_total 0\n",
          "boxes_open 2.5\n", "scoring_duration_seconds_count 1000\n",
          "signalbox_workers{state=\"ready\"} 2\n", "signalbox_workers{state=\"dead\"} 0\n",
          "signalbox_worker_resident_bytes{slot=\"0\"} 0\n", "signalbox_worker_queue_depth{slot=\"1\"} 0\n",
          "signalbox_target_workers 4\n"})
        QVERIFY2(text.contains(line), line);
    QCOMPARE(text.count("# TYPE letters_total"), 1);
}

void TestPages::histograms_are_cumulative_over_powers_of_two() {
    Busy busy;
    const telemetry::SegmentView view(busy.group.segment().descriptor());
    const Feeds feeds(view, Clock::now());
    const QString text = QString::fromStdString(metrics_text(feeds.totals(), feeds.catalogue()));
    QVERIFY(
        text.contains("letter_size_bytes_bucket{le=\"2\"} 1\nletter_size_bytes_bucket{le=\"4\"} 2\n"
                      "letter_size_bytes_bucket{le=\"+Inf\"} 2\nletter_size_bytes_sum 3\n"
                      "letter_size_bytes_count 2\n"));
    QVERIFY(text.contains("scoring_duration_seconds_bucket{le=\"0.25\"} 250\n"));
    QVERIFY(text.contains("scoring_duration_seconds_bucket{le=\"1\"} 1000\n"));
}

void TestPages::hostile_text_stays_text_on_the_page() {
    Busy busy;
    const telemetry::SegmentView view(busy.group.segment().descriptor());
    const Feeds feeds(view, Clock::now());
    const std::string page = front_page(view, feeds);
    QVERIFY(page.find("<script") == std::string::npos);
    QVERIFY(page.find("<b>mailroom") == std::string::npos);
    QVERIFY(page.find('\x1b') == std::string::npos);
    QVERIFY(page.find('\xff') == std::string::npos);
    QVERIFY(page.find("GET /&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;?[2J\xef\xbf\xbd") !=
            std::string::npos);
}

void TestPages::the_page_shows_the_quantiles_of_the_last_minute() {
    FakeGroup group;
    Duration scoring(group.telemetry, "scoring_duration_seconds", "Scoring");
    group.start_worker(0);
    const telemetry::SegmentView view(group.segment().descriptor());
    Feeds feeds(view, Clock::now());
    group.in_worker(0, [&] {
        for (int i = 1; i <= 100; ++i)
            scoring.record(1ms * i);
    });
    feeds.run_due(Clock::now() + 2s);
    const QString page = QString::fromStdString(front_page(view, feeds));
    const qsizetype row = page.indexOf("scoring_duration_seconds</td>");
    QVERIFY(row > 0);
    QVERIFY2(page.mid(row, 200).contains(
                 "<td class=\"n\">100</td><td class=\"n\">49.9 ms</td><td class=\"n\">90.1 ms<"),
             qPrintable(page.mid(row, 200)));
}

void TestPages::unknown_pages_are_none() {
    FakeGroup group;
    const telemetry::SegmentView view(group.segment().descriptor());
    const Feeds feeds(view, Clock::now());
    Pages pages(view, feeds);
    QVERIFY(pages.get("/"));
    QVERIFY(!pages.get("/x"));
    QVERIFY(!pages.get(""));
}

void TestPages::the_kernel_tells_how_many_connections_wait() {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    QCOMPARE(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
    QCOMPARE(::listen(listener, 8), 0);
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    telemetry::ListenerInfo info;
    info.port = ntohs(address.sin_port);
    info.address = "127.0.0.1:" + std::to_string(info.port);
    const auto none = kernel_backlog(info);
    if (!none) QSKIP("this kernel does not tell");
    QCOMPARE(*none, 0u);
    const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    QCOMPARE(::connect(client, reinterpret_cast<sockaddr*>(&address), size), 0);
    QTRY_COMPARE(*kernel_backlog(info), 1u);
    ::close(client);
    ::close(listener);
    QVERIFY(!kernel_backlog(info));
}

QTEST_GUILESS_MAIN(TestPages)
#include "test_pages.moc"
