#include "libtorch/own_run.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/graph_task.h>

#include <atomic>
#include <mutex>
#include <unordered_map>

namespace natgrad::detail {
namespace {

using torch::autograd::Node;
using torch::autograd::variable_list;

/// The runs under way, by the engine's numbers for them.
class Runs {
 public:
  void add(int number, Marks marks) {
    const std::lock_guard lock(mutex_);
    marks_[number] = marks;
    any_ = true;
  }
  void remove(int number) {
    const std::lock_guard lock(mutex_);
    marks_.erase(number);
    any_ = !marks_.empty();
  }
  bool contains(int number) const {
    if (!any_) return false;
    const std::lock_guard lock(mutex_);
    return marks_.contains(number);
  }
  bool holds_marks(int number) const {
    if (!any_) return false;
    const std::lock_guard lock(mutex_);
    const auto found = marks_.find(number);
    return found != marks_.end() && found->second == Marks::Hold;
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<int, Marks> marks_;
  std::atomic<bool> any_ = false;  // most often there is none
};

Runs& runs() {
  static Runs all;
  return all;
}

}  // namespace

struct OwnRun::Announcement final : Node {
  explicit Announcement(Marks marks) : marks(marks) {}
  variable_list apply(variable_list&& gradients) override {
    number = torch::autograd::get_current_graph_task_id();
    runs().add(number, marks);
    return std::move(gradients);
  }
  std::string name() const override { return "natgrad::run"; }

  Marks marks;
  std::atomic<int> number = -1;
};

OwnRun::OwnRun(const torch::autograd::edge_list& roots,
               const std::vector<torch::Tensor>& cotangents, Marks marks)
    : announcement_(c10::make_intrusive<Announcement>(marks)) {
  announcement_->set_next_edges(torch::autograd::edge_list(roots));
  for (const auto& cotangent : cotangents) {
    roots_.emplace_back(announcement_, announcement_->add_input_metadata(cotangent));
  }
}

OwnRun::~OwnRun() {
  if (announcement_->number >= 0) runs().remove(announcement_->number);
}

bool is_in_own_run() { return runs().contains(torch::autograd::get_current_graph_task_id()); }

bool is_held_at_marks() { return runs().holds_marks(torch::autograd::get_current_graph_task_id()); }

}  // namespace natgrad::detail
