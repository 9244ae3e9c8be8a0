#pragma once

#include "detail.h"

#include <torch/types.h>

#include <vector>

namespace natgrad::detail {

/// Lets leaves be results of a computation without their module knowing: each has the data of a
/// stand-in and the place in the graph that it has, so that what is computed from the leaf depends
/// on what the stand-in was computed from. The leaf's own memory is not written to; the destructor
/// gives it back, and makes it a leaf again.
///
/// A graph that was built on stand-ins is valid while they are in place: what saved the leaf reads
/// it again then.
class ReplacedLeaves {
 public:
  explicit ReplacedLeaves(std::vector<torch::Tensor> leaves);
  ~ReplacedLeaves();
  ReplacedLeaves(const ReplacedLeaves&) = delete;
  ReplacedLeaves& operator=(const ReplacedLeaves&) = delete;

  /// From now on the k-th leaf is stand_ins[k], of its shape, dtype and device.
  void by(const std::vector<torch::Tensor>& stand_ins);
  const std::vector<torch::Tensor>& leaves() const { return leaves_; }
  /// Their own values, in their own memory.
  const std::vector<torch::Tensor>& own() const { return own_; }
  /// Those in place; empty if there are none yet.
  const std::vector<torch::Tensor>& stand_ins() const { return stand_ins_; }
  /// The leaves are themselves again.
  void put_back();

 private:
  std::vector<torch::Tensor> leaves_, own_, stand_ins_;
};

}  // namespace natgrad::detail
