// The table of workers.
#pragma once

#include <QFrame>
#include <QSortFilterProxyModel>

#include "console/models/agent.hpp"
#include "console/views/theme.hpp"

class QTableView;

namespace signalbox::console {

class WorkersView : public QFrame {
    Q_OBJECT
public:
    explicit WorkersView(const Theme& theme, QWidget* parent = nullptr);
    void setAgent(Agent* agent);
    /// Shows which worker is chosen; tells nobody.
    void select(std::optional<std::uint32_t> slot);
    void setStale(bool stale);
    QTableView* table() const { return table_; }

Q_SIGNALS:
    void slotChosen(std::optional<std::uint32_t> slot);

private:
    void fitColumns();
    QTableView* table_;
    QSortFilterProxyModel* sorted_;
    std::optional<std::uint32_t> slot_;
    bool selecting_ = false;  ///< the selection is not being changed by a person
};

}  // namespace signalbox::console
