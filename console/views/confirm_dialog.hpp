// Asks before an action and says exactly what it will do. Does not block: wait for accepted().
#pragma once

#include <QDialog>
#include <functional>

#include "console/models/action_text.hpp"

class QLabel;
class QPushButton;
class QSpinBox;
class QVBoxLayout;

namespace signalbox::console {

class ConfirmDialog : public QDialog {
    Q_OBJECT
public:
    ConfirmDialog(const ActionText& text, QWidget* parent);
    /// Asks for a number too; `textFor` says what would happen with it.
    ConfirmDialog(int number, int lowest, int highest, const QString& label,
                  std::function<ActionText(int)> textFor, QWidget* parent);
    /// The number asked for.
    int number() const;

private:
    void build();
    void say(const ActionText& text);

    QLabel* title_;
    QLabel* explanation_;
    QPushButton* act_;
    QSpinBox* number_ = nullptr;
    QVBoxLayout* layout_;
};

}  // namespace signalbox::console
