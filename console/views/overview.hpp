// The headline figures and charts of one group, or of one of its workers.
//
// Redraws at most four times a second, only while visible, and not at all while paused.
#pragma once

#include <QElapsedTimer>
#include <QPointer>
#include <QTimer>
#include <QWidget>

#include "console/charts/time_chart.hpp"
#include "console/models/agent.hpp"
#include "console/views/figure_tile.hpp"
#include "console/views/theme.hpp"

class QLabel;
class QPushButton;

namespace signalbox::console {

class Overview : public QWidget {
    Q_OBJECT
public:
    explicit Overview(const Theme& theme, QWidget* parent = nullptr);

    void setAgent(Agent* agent);
    /// None: the whole group.
    void setSlot(std::optional<std::uint32_t> slot);
    void setSpan(std::chrono::minutes span);
    void setPaused(bool paused);
    bool paused() const { return paused_; }
    /// Draws now, whatever the pace.
    void refreshNow();
    QWidget* charts() const { return charts_; }
    QString scopeText() const;

Q_SIGNALS:
    void wholeGroupRequested();

protected:
    void showEvent(QShowEvent* event) override;

private:
    TimeChart* addChart(const QString& name, const QString& title, Measure measure);
    void applyTheme();
    void noteTick();
    void refreshSoon();
    void refresh();
    void refreshScope();
    void refreshFigures(TimeRange recent);
    void refreshCharts(TimeRange range);
    Selection selection() const;
    TimeRange shownRange() const;
    bool stale() const;
    std::chrono::nanoseconds silentFor() const;
    std::vector<ChartLine> requestLines(TimeRange range) const;
    std::vector<ChartLine> latencyLines(TimeRange range) const;
    std::vector<ChartLine> queueLines(TimeRange range) const;
    std::vector<ChartLine> memoryLines(TimeRange range) const;
    QColor color(const char* name) const { return theme_.color(QLatin1String(name)); }

    const Theme& theme_;
    QPointer<Agent> agent_;
    std::optional<std::uint32_t> slot_;
    std::chrono::minutes span_{5};
    bool paused_ = false;
    WallTime pausedAt_{};
    QElapsedTimer sinceTick_;
    QTimer pace_;       ///< runs while a redraw waits its turn
    QTimer heartbeat_;  ///< ages grow also when nothing arrives

    QLabel* scope_;
    QLabel* liveness_;
    QPushButton* wholeGroup_;
    FigureTile* requestsTile_;
    FigureTile* latencyTile_;
    FigureTile* errorsTile_;
    FigureTile* workersTile_;
    FigureTile* queueTile_;
    FigureTile* memoryTile_;
    QWidget* charts_;
    TimeChart* requests_;
    TimeChart* latency_;
    TimeChart* queue_;
    TimeChart* memory_;
};

}  // namespace signalbox::console
