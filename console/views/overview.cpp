#include "console/views/overview.hpp"

#include <QGridLayout>
#include <QLabel>
#include <QPushButton>
#include <QVBoxLayout>
#include <set>

#include "console/models/text.hpp"
#include "console/models/units.hpp"

namespace signalbox::console {
namespace {

using namespace std::chrono_literals;

constexpr auto kPace = 250ms;
constexpr auto kRecent = 10s;
constexpr std::size_t kPoints = 300;
/// A share of failed requests from which the figure is red.
constexpr double kAlarmingErrorRate = 0.01;

std::uint64_t depthOf(const wire::Worker& worker) {
    std::uint64_t sum = 0;
    for (const auto& queue : worker.queues)
        sum += queue.depth;
    return sum;
}

double oldestOf(const wire::Worker& worker) {
    std::chrono::nanoseconds oldest{0};
    for (const auto& queue : worker.queues)
        oldest = std::max(oldest, queue.oldest);
    return std::chrono::duration<double>(oldest).count();
}

}  // namespace

Overview::Overview(const Theme& theme, QWidget* parent)
    : QWidget(parent),
      theme_(theme),
      scope_(new QLabel),
      liveness_(new QLabel),
      wholeGroup_(new QPushButton(tr("Back to the whole &group"))),
      requestsTile_(new FigureTile(tr("Requests"))),
      latencyTile_(new FigureTile(tr("Latency p99"))),
      errorsTile_(new FigureTile(tr("Failed (5xx)"))),
      workersTile_(new FigureTile(tr("Workers ready"))),
      queueTile_(new FigureTile(tr("Waiting"))),
      memoryTile_(new FigureTile(tr("Memory"))),
      charts_(new QWidget) {
    scope_->setObjectName(QStringLiteral("scopeLabel"));
    scope_->setProperty("role", "scope");
    scope_->setTextFormat(Qt::PlainText);
    liveness_->setObjectName(QStringLiteral("livenessLabel"));
    liveness_->setProperty("role", "muted");
    liveness_->setTextFormat(Qt::PlainText);
    wholeGroup_->setObjectName(QStringLiteral("wholeGroupButton"));
    wholeGroup_->setProperty("role", "link");
    wholeGroup_->setToolTip(tr("Show all workers together (Esc)"));
    connect(wholeGroup_, &QPushButton::clicked, this, &Overview::wholeGroupRequested);

    QSizePolicy keepsItsPlace = wholeGroup_->sizePolicy();
    keepsItsPlace.setRetainSizeWhenHidden(true);
    wholeGroup_->setSizePolicy(keepsItsPlace);

    auto* head = new QHBoxLayout;
    head->setSpacing(10);
    head->addWidget(scope_);
    head->addWidget(wholeGroup_);
    head->addStretch(1);
    head->addWidget(liveness_);

    auto* tiles = new QHBoxLayout;
    tiles->setSpacing(8);
    const std::pair<FigureTile*, const char*> named[] = {
        {requestsTile_, "requestsTile"}, {latencyTile_, "latencyTile"}, {errorsTile_, "errorsTile"},
        {workersTile_, "workersTile"},   {queueTile_, "queueTile"},     {memoryTile_, "memoryTile"}};
    for (const auto& [tile, name] : named) {
        tile->setObjectName(QLatin1String(name));
        tiles->addWidget(tile, 1);
    }

    requests_ = addChart(QStringLiteral("requestsChart"), tr("Requests per second"), Measure::rate);
    latency_ = addChart(QStringLiteral("latencyChart"), tr("Latency"), Measure::seconds);
    latency_->setLogarithmic(true);
    queue_ = addChart(QStringLiteral("queueChart"), tr("Accept queue"), Measure::count);
    queue_->setRightAxis(Measure::seconds);
    memory_ = addChart(QStringLiteral("memoryChart"), tr("Memory"), Measure::bytes);
    auto* grid = new QGridLayout(charts_);
    grid->setContentsMargins(0, 0, 0, 0);
    grid->setSpacing(8);
    grid->addWidget(requests_->parentWidget(), 0, 0);
    grid->addWidget(latency_->parentWidget(), 0, 1);
    grid->addWidget(queue_->parentWidget(), 1, 0);
    grid->addWidget(memory_->parentWidget(), 1, 1);

    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(8);
    layout->addLayout(head);
    layout->addLayout(tiles);
    layout->addWidget(charts_, 1);

    pace_.setSingleShot(true);
    connect(&pace_, &QTimer::timeout, this, &Overview::refresh);
    connect(&heartbeat_, &QTimer::timeout, this, [this] {
        if (agent_ && stale())
            refreshSoon();
        else if (agent_ && isVisible())
            refreshScope();
    });
    heartbeat_.start(1s);
    connect(&theme, &Theme::changed, this, &Overview::applyTheme);
    applyTheme();
}

TimeChart* Overview::addChart(const QString& name, const QString& title, Measure measure) {
    auto* panel = new QFrame;
    panel->setProperty("role", "panel");
    auto* chart = TimeChart::create(title, measure, panel);
    chart->setObjectName(name);
    auto* layout = new QVBoxLayout(panel);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->addWidget(chart);
    connect(chart, &TimeChart::hovered, this, [this](std::optional<WallTime> time) {
        for (auto* one : {requests_, latency_, queue_, memory_})
            one->setCrosshair(time);
    });
    return chart;
}

void Overview::applyTheme() {
    for (auto* chart : {requests_, latency_, queue_, memory_})
        chart->setColors(theme_.chartColors());
    refresh();
}

void Overview::setAgent(Agent* agent) {
    if (agent_ == agent) return;
    if (agent_) agent_->store().disconnect(this);
    agent_ = agent;
    slot_.reset();
    paused_ = false;
    sinceTick_.invalidate();
    if (agent) {
        connect(&agent->store(), &AgentStore::ticked, this, &Overview::noteTick);
        connect(&agent->store(), &AgentStore::stateChanged, this, &Overview::refreshSoon);
        if (agent->store().history().latest()) sinceTick_.start();
    }
    refresh();
}

void Overview::setSlot(std::optional<std::uint32_t> slot) {
    slot_ = slot;
    refresh();
}

void Overview::setSpan(std::chrono::minutes span) {
    span_ = span;
    refresh();
}

void Overview::setPaused(bool paused) {
    if (paused && agent_) pausedAt_ = shownRange().to;
    paused_ = paused;
    refresh();
}

void Overview::refreshNow() {
    pace_.stop();
    refresh();
}

void Overview::showEvent(QShowEvent* event) {
    QWidget::showEvent(event);
    refresh();
}

void Overview::noteTick() {
    sinceTick_.start();
    refreshSoon();
}

void Overview::refreshSoon() {
    if (!pace_.isActive()) pace_.start(kPace);
}

void Overview::refresh() {
    if (!agent_ || !isVisible()) return;
    refreshScope();
    const TimeRange range = shownRange();
    refreshFigures(paused_ ? TimeRange{range.to - kRecent, range.to}
                           : agent_->store().history().last(kRecent));
    refreshCharts(range);
}

Selection Overview::selection() const {
    return slot_ ? Selection::slot(*slot_) : Selection::group();
}

bool Overview::stale() const {
    if (!agent_->store().connected()) return true;
    const auto* latest = agent_->store().history().latest();
    if (!latest || !sinceTick_.isValid()) return true;
    const auto period = latest->absolute ? std::chrono::nanoseconds(1s) : latest->length;
    return silentFor() > std::max<std::chrono::nanoseconds>(3 * period, 2s);
}

std::chrono::nanoseconds Overview::silentFor() const {
    return std::chrono::nanoseconds(sinceTick_.nsecsElapsed());
}

TimeRange Overview::shownRange() const {
    if (paused_) return {pausedAt_ - span_, pausedAt_};
    TimeRange range = agent_->store().history().last(span_);
    // What does not arrive leaves the right of the chart empty, but never pushes what is known out of sight.
    if (stale() && sinceTick_.isValid()) {
        const auto missingFor = std::min<std::chrono::nanoseconds>(silentFor(), span_ / 3);
        range.from += missingFor;
        range.to += missingFor;
    }
    return range;
}

QString Overview::scopeText() const {
    return scope_->text();
}

void Overview::refreshScope() {
    const auto& store = agent_->store();
    QString place = agent_->title();
    if (store.hello() && !store.hello()->host.isEmpty())
        place += tr(" on %1").arg(shown(store.hello()->host, 80));
    QString who = tr("whole group");
    if (slot_) {
        const auto* worker = store.worker(*slot_);
        who = worker ? tr("worker %1 only (pid %2, generation %3)")
                           .arg(*slot_)
                           .arg(worker->pid)
                           .arg(worker->generation)
                     : tr("worker %1 only (gone)").arg(*slot_);
    }
    scope_->setText(place + QStringLiteral("  ›  ") + who);
    wholeGroup_->setVisible(slot_.has_value());

    const auto* latest = store.history().latest();
    QString liveness;
    if (!latest)
        liveness = store.connected() ? tr("waiting for the first data") : tr("no data yet");
    else if (paused_)
        liveness = tr("paused at %1").arg(clock(pausedAt_));
    else if (stale())
        liveness = tr("stale: last data from %1").arg(clock(latest->end));
    else
        liveness = tr("live  ·  %1").arg(clock(latest->end));
    liveness_->setText(liveness);
}

void Overview::refreshFigures(TimeRange recent) {
    const auto& history = agent_->store().history();
    const auto chosen = selection();
    const auto all = history.instruments("http_requests_total");
    const auto failed = history.instruments("http_requests_total", "class", "5xx");
    const auto total = all.empty() ? std::nullopt : history.rate(all, chosen, recent);
    const auto failing = all.empty() ? std::nullopt : history.rate(failed, chosen, recent);
    const QString span = tr("last %1").arg(age(kRecent));

    const auto since = slot_ ? std::nullopt : history.total(all);
    requestsTile_->setFigure(
        orMissing(total, rate),
        since && !all.empty() ? tr("%1 in all").arg(count(static_cast<double>(*since))) : span);

    const auto latency = history.merged(history.instruments("http_request_duration_seconds"), chosen, recent);
    latencyTile_->setFigure(orMissing(latency.quantile(0.99), seconds),
                            latency.empty() ? span : tr("p50 %1").arg(seconds(*latency.quantile(0.5))));

    std::optional<double> share;
    if (total && failing && *total > 0) share = *failing / *total;
    errorsTile_->setFigure(orMissing(share, percent), failing ? tr("%1").arg(rate(*failing)) : span,
                           share.value_or(0) >= kAlarmingErrorRate);

    const auto* latest = history.latest();
    int ready = 0, others = 0;
    double memory = 0, largest = 0, oldest = 0;
    std::uint64_t waiting = 0;
    if (latest)
        for (const auto& worker : latest->workers) {
            if (!chosen.includes(worker)) continue;
            if (worker.state == wire::WorkerState::dead) continue;
            (worker.state == wire::WorkerState::ready ? ready : others) += 1;
            memory += static_cast<double>(worker.resident_bytes);
            largest = std::max(largest, static_cast<double>(worker.resident_bytes));
            waiting += depthOf(worker);
            oldest = std::max(oldest, oldestOf(worker));
        }
    const int target = !latest ? 0 : slot_ ? 1 : static_cast<int>(latest->target_workers);
    QString remark = others > 0 ? tr("%1 in another state").arg(others) : tr("all as they should be");
    if (ready < target && others == 0) remark = tr("%1 missing").arg(target - ready);
    if (stale()) remark = tr("when last seen");
    if (latest && latest->degraded) remark = tr("degraded: crash loop");
    workersTile_->setFigure(latest ? QStringLiteral("%1 / %2").arg(ready).arg(target) : missing(),
                            latest ? remark : QString(), latest && (ready < target || latest->degraded));
    queueTile_->setFigure(latest ? count(static_cast<double>(waiting)) : missing(),
                          waiting > 0 ? tr("oldest %1").arg(seconds(oldest)) : tr("accept queue"));
    memoryTile_->setFigure(latest ? bytes(memory) : missing(),
                           slot_ || !latest ? tr("resident") : tr("largest %1").arg(bytes(largest)));
    for (auto* tile : {requestsTile_, latencyTile_, errorsTile_, workersTile_, queueTile_, memoryTile_})
        tile->setStale(stale());
}

void Overview::refreshCharts(TimeRange range) {
    const auto& history = agent_->store().history();
    const bool nothing = history.tickCount() == 0;
    const QString waiting = tr("No data yet");
    const bool http = !history.instruments("http_requests_total").empty();
    const QString notHttp = tr("This server reports no HTTP requests");
    requests_->setEmptyText(nothing ? waiting : http ? tr("No requests in this range") : notHttp);
    latency_->setEmptyText(nothing ? waiting : http ? tr("No requests in this range") : notHttp);
    queue_->setEmptyText(nothing ? waiting : tr("No data in this range"));
    memory_->setEmptyText(nothing ? waiting : tr("No data in this range"));
    requests_->setData(range, requestLines(range));
    latency_->setData(range, latencyLines(range));
    queue_->setData(range, queueLines(range));
    memory_->setData(range, memoryLines(range));
}

std::vector<ChartLine> Overview::requestLines(TimeRange range) const {
    const auto& history = agent_->store().history();
    std::vector<ChartLine> lines;
    static constexpr std::pair<const char*, const char*> kClasses[] = {
        {"2xx", "class2"}, {"3xx", "class3"}, {"4xx", "class4"}, {"5xx", "class5"}};
    for (const auto& [name, colorName] : kClasses)
        if (const auto counters = history.instruments("http_requests_total", "class", name);
            !counters.empty())
            lines.push_back({.name = QLatin1String(name),
                             .color = color(colorName),
                             .points = history.rateSeries(counters, selection(), range, kPoints)});
    if (lines.empty())
        if (const auto counters = history.instruments("http_requests_total"); !counters.empty())
            lines.push_back({.name = tr("all"),
                             .color = color("class2"),
                             .points = history.rateSeries(counters, selection(), range, kPoints)});
    return lines;
}

std::vector<ChartLine> Overview::latencyLines(TimeRange range) const {
    const auto& history = agent_->store().history();
    const auto instruments = history.instruments("http_request_duration_seconds");
    if (instruments.empty()) return {};
    auto points = history.quantileSeries(instruments, {0.5, 0.9, 0.99, 0.999}, selection(), range, kPoints);
    return {{.name = QStringLiteral("p50"), .color = color("p50"), .points = std::move(points[0])},
            {.name = QStringLiteral("p90"), .color = color("p90"), .points = std::move(points[1])},
            {.name = QStringLiteral("p99"), .color = color("p99"), .points = std::move(points[2])},
            {.name = QStringLiteral("p99.9"), .color = color("p999"), .points = std::move(points[3])}};
}

std::vector<ChartLine> Overview::queueLines(TimeRange range) const {
    const auto& history = agent_->store().history();
    using Combine = TickHistory::Combine;
    const auto depth = [](const wire::Worker& worker) { return static_cast<double>(depthOf(worker)); };
    return {{.name = tr("waiting"),
             .color = color("queueDepth"),
             .points = history.workerSeries(depth, Combine::sum, selection(), range, kPoints)},
            {.name = tr("oldest (right)"),
             .color = color("queueAge"),
             .points = history.workerSeries(oldestOf, Combine::max, selection(), range, kPoints),
             .rightAxis = true}};
}

std::vector<ChartLine> Overview::memoryLines(TimeRange range) const {
    const auto& history = agent_->store().history();
    std::set<std::uint32_t> slots;
    if (history.latest())
        for (const auto& worker : history.latest()->workers)
            if (selection().includes(worker)) slots.insert(worker.slot);
    std::vector<ChartLine> lines;
    const auto memory = [](const wire::Worker& worker) { return static_cast<double>(worker.resident_bytes); };
    for (const auto slot : slots)
        lines.push_back({.name = QStringLiteral("#%1").arg(slot),
                         .color = theme_.seriesColor(slot),
                         .points = history.workerSeries(memory, TickHistory::Combine::max,
                                                        Selection::slot(slot), range, kPoints)});
    return lines;
}

}  // namespace signalbox::console
