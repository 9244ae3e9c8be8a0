#pragma once

#include "detail.h"

#include <torch/types.h>
#include "linalg/restore.h"
#include "optim/model.h"

#include <memory>
#include <vector>

namespace natgrad::detail {

/// What is to be left as it was. The destructor puts all that was named back, bit for bit, the last
/// named first; unless `commit` is called, which keeps what was made of it.
///
///     Preserved before;
///     before.parameters(parameters).module(module).generators(device);
///
/// There are two ways. By copy, for what the user may go on with: the tensor stays itself, and is
/// written to if its value has changed (a write invalidates graphs that saved it). By exchange, for
/// a detour: the tensor holds other memory meanwhile, and gets its own back, unwritten, so that
/// graphs that saved it stay valid; except that autograd counts what was written to a stand-in in
/// place (`buffer.add_(1)`) as written to the tensor.
class Preserved {
 public:
  Preserved() = default;
  ~Preserved();
  Preserved(const Preserved&) = delete;
  Preserved& operator=(const Preserved&) = delete;

  void commit() { restores_.clear(); }

  /// By copy, the parameters' values and `.grad`s; and their requires_grad flags.
  Preserved& parameters(const std::vector<torch::Tensor>& parameters);
  /// By copy, the buffers (BatchNorm statistics); and the train/eval modes of it and its parts. Of
  /// no module, nothing.
  Preserved& module(const Model& model);
  Preserved& generators(const torch::Device& device);

  /// By exchange: while this lives, each tensor's data is its stand-in.
  Preserved& exchange_data(const std::vector<torch::Tensor>& tensors,
                           const std::vector<torch::Tensor>& stand_ins);
  /// By exchange for copies, the `.grad`s.
  Preserved& exchange_gradients(const std::vector<torch::Tensor>& parameters);
  /// By exchange for copies, the buffers; and the modes.
  Preserved& exchange_buffers(const Model& model);

  /// By value, tensors that share a buffer's memory, where the buffer itself is not at hand:
  /// autograd does not count it as a write.
  Preserved& contents(const std::vector<torch::Tensor>& tensors);

 private:
  Preserved& modes(const Model& model);

  std::vector<Restore> restores_;
};

}  // namespace natgrad::detail
