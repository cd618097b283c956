// The list of events, newest first, with a filter by text and severity.
#pragma once

#include <QFrame>

#include "console/models/agent.hpp"
#include "console/views/theme.hpp"

class QComboBox;
class QLabel;
class QLineEdit;
class QTableView;

namespace signalbox::console {

class EventsView : public QFrame {
    Q_OBJECT
public:
    explicit EventsView(const Theme& theme, QWidget* parent = nullptr);
    void setAgent(Agent* agent);
    void focusFilter();

private:
    void fitColumns();
    void refreshCount();

    EventFilter* filter_;
    Agent* agent_ = nullptr;
    QTableView* table_;
    QLineEdit* text_;
    QComboBox* severity_;
    QLabel* count_;
};

}  // namespace signalbox::console
