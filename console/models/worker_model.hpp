// The workers of one group as a table, a row per process, so that during a cycle both the old and the new are
// there.
//
// A tick becomes row insertions, removals and dataChanged, never a reset: selection and scroll position stay.
// Numbers are in SortRole; rates and quantiles are over the last kWindow. Order is by slot, then generation;
// sort through a proxy.
#pragma once

#include <QAbstractTableModel>
#include <chrono>
#include <vector>

#include "console/store/agent_store.hpp"

namespace signalbox::console {

class WorkerModel : public QAbstractTableModel {
    Q_OBJECT
public:
    enum Column {
        Slot,
        State,
        Pid,
        Generation,
        Uptime,
        Requests,
        P99,
        Queue,
        Connections,
        Memory,
        OpenFiles,
        Heartbeat,
        Activity,
        ColumnCount
    };
    static constexpr std::chrono::seconds kWindow{10};

    explicit WorkerModel(const AgentStore& store, QObject* parent = nullptr);

    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
    struct Row {
        wire::Worker worker;
        wire::WallTime at{};
        std::optional<double> requestRate;
        std::optional<double> p99;
    };
    void refresh();
    Row rowOf(const wire::Worker& worker) const;
    QString text(const Row& row, int column) const;
    QVariant number(const Row& row, int column) const;

    const AgentStore& store_;
    std::vector<Row> rows_;
};

}  // namespace signalbox::console
