// What happened, newest last; views sort it newest first. At most AgentStore::kMostEvents rows.
#pragma once

#include <QAbstractTableModel>
#include <QSortFilterProxyModel>
#include <deque>

#include "console/store/agent_store.hpp"

namespace signalbox::console {

class EventModel : public QAbstractTableModel {
    Q_OBJECT
public:
    enum Column { Time, Severity, Source, Name, Text, ColumnCount };

    explicit EventModel(const AgentStore& store, QObject* parent = nullptr);

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
    /// Rows are what is shown, so that sorting and filtering convert nothing.
    struct Row {
        wire::WallTime time{};
        std::uint64_t sequence = 0;
        wire::Severity severity = wire::Severity::info;
        std::optional<std::uint32_t> slot;
        QString source;
        QString name;
        QString text;
    };
    static Row rowOf(const EventRecord& record);
    void change(int removed, int added);

    const AgentStore& store_;
    std::deque<Row> rows_;
};

/// Those of at least a severity that contain a text anywhere, newest first.
class EventFilter : public QSortFilterProxyModel {
    Q_OBJECT
public:
    explicit EventFilter(QObject* parent = nullptr);
    void setLeastSeverity(wire::Severity severity);
    void setText(const QString& text);

protected:
    bool filterAcceptsRow(int row, const QModelIndex& parent) const override;
    bool lessThan(const QModelIndex& left, const QModelIndex& right) const override;

private:
    wire::Severity least_ = wire::Severity::debug;
    QString text_;
};

}  // namespace signalbox::console
