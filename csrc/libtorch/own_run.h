#pragma once

#include "detail.h"

#include <torch/csrc/autograd/edge.h>
#include <torch/types.h>

#include <memory>
#include <vector>

namespace natgrad::detail {

/// Whether a gradient passes the user's marks of outputs, or ends there: what lies below them then
/// counts as constant.
enum class Marks { Pass, Hold };

/// One of natgrad's runs of the engine that nodes and hooks of the graph are to recognise: by a
/// node on top of the roots, which is run first and tells the run's number. So nothing in the graph
/// is changed for the time of a run, and others may go on in it meanwhile.
class OwnRun {
 public:
  OwnRun(const torch::autograd::edge_list& roots, const std::vector<torch::Tensor>& cotangents,
         Marks marks);
  ~OwnRun();
  OwnRun(const OwnRun&) = delete;
  OwnRun& operator=(const OwnRun&) = delete;

  /// Where the cotangents enter instead.
  const torch::autograd::edge_list& roots() const { return roots_; }

 private:
  struct Announcement;
  c10::intrusive_ptr<Announcement> announcement_;
  torch::autograd::edge_list roots_;
};

/// Within a node or hook: whether an `OwnRun` has called it, and whether one that holds the marks.
bool is_in_own_run();
bool is_held_at_marks();

}  // namespace natgrad::detail
