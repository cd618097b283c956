// All keyboard shortcuts, taken from the actions that have them.
#pragma once

#include <QAction>
#include <QDialog>

namespace signalbox::console {

class ShortcutsDialog : public QDialog {
    Q_OBJECT
public:
    ShortcutsDialog(const QList<QAction*>& actions, QWidget* parent);
};

}  // namespace signalbox::console
