// All agents as a tree: agent → group → workers, each with a state light.
//
// Rows come and go one by one, never by a reset, so that what is expanded and selected stays so.
#pragma once

#include <QAbstractItemModel>
#include <memory>
#include <vector>

#include "console/models/agent.hpp"
#include "console/models/roles.hpp"

namespace signalbox::console {

class FleetModel : public QAbstractItemModel {
    Q_OBJECT
public:
    explicit FleetModel(QObject* parent = nullptr);
    ~FleetModel() override;

    /// The agent must outlive its row: remove it first.
    void add(Agent& agent);
    void remove(Agent& agent);

    QModelIndex indexOf(const Agent& agent) const;
    QModelIndex groupIndexOf(const Agent& agent) const;
    /// The row of the worker of that slot and generation; invalid if there is none.
    QModelIndex workerIndexOf(const Agent& agent, std::uint32_t slot, std::uint64_t generation) const;
    Agent* agentOf(const QModelIndex& index) const;

    QModelIndex index(int row, int column, const QModelIndex& parent = {}) const override;
    QModelIndex parent(const QModelIndex& child) const override;
    int rowCount(const QModelIndex& parent = {}) const override;
    int columnCount(const QModelIndex& parent = {}) const override;
    QVariant data(const QModelIndex& index, int role) const override;
    QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

private:
    struct AgentNode;
    struct Node {
        enum class Kind { agent, group, worker };
        Kind kind;
        AgentNode* agent;
        wire::Worker worker;  ///< of a worker node
    };
    struct AgentNode {
        Agent* agent;
        Node self;
        Node group;
        std::vector<std::unique_ptr<Node>> workers;
    };
    AgentNode* nodeOf(const Agent& agent) const;
    int rowOf(const AgentNode& node) const;
    static Node& nodeAt(const QModelIndex& index) { return *static_cast<Node*>(index.internalPointer()); }
    void refreshWorkers(AgentNode& node);
    void refreshState(AgentNode& node);
    static QString text(const Node& node);
    static QString toolTip(const Node& node);
    static Light light(const Node& node);

    std::vector<std::unique_ptr<AgentNode>> agents_;
};

}  // namespace signalbox::console
