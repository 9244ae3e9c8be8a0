// The names of LibTorch's nodes.
#include <ATen/ops/_reshape_alias.h>
#include <ATen/ops/_unsafe_view.h>
#include <torch/jit.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "libtorch/contract.h"
#include "libtorch/nodes.h"
#include "libtorch/op_names.h"
#include "libtorch/ways_out.h"

namespace natgrad::testing::names_contract_test {
namespace {

// ---- Names of nodes ----

using NamedOps = std::vector<std::pair<const char*, std::function<Tensor(const Tensor&)>>>;

const NamedOps& named_ops() {
  const auto one = [](const Tensor& x) { return torch::ones_like(x); };
  static const NamedOps ops = {
      {"View",
       [](auto& x) {
         return x.view({3, 4});
       }},
      {"UnsafeView",
       [](auto& x) {
         return at::_unsafe_view(x, {3, 4});
       }},
      {"ReshapeAlias",
       [](auto& x) {
         return at::_reshape_alias(x, {3, 4}, {4, 1});
       }},
      {"Alias", [](auto& x) { return at::alias(x); }},
      {"Squeeze", [](auto& x) { return x.squeeze(0); }},
      {"T", [](auto& x) { return x.t(); }},
      {"Unsqueeze", [](auto& x) { return x.unsqueeze(0); }},
      {"Transpose", [](auto& x) { return x.transpose(0, 1); }},
      {"Permute",
       [](auto& x) {
         return x.permute({1, 0});
       }},
      {"Slice", [](auto& x) { return x.slice(0, 1, 3); }},
      {"Select", [](auto& x) { return x.select(0, 1); }},
      {"Expand",
       [](auto& x) {
         return x.expand({2, 4, 3});
       }},
      {"Clone", [](auto& x) { return x.clone(); }},
      {"ToCopy", [](auto& x) { return x.to(torch::kFloat); }},
      {"Gather", [](auto& x) { return x.gather(1, classes().unsqueeze(1)); }},
      {"Index", [](auto& x) { return x.index({classes()}); }},
      {"IndexSelect", [](auto& x) { return x.index_select(0, classes()); }},
      {"MaskedSelect", [](auto& x) { return x.masked_select(x > 0); }},
      {"Abs", [](auto& x) { return x.abs(); }},
      {"Add", [=](auto& x) { return x + one(x); }},
      {"Sub", [=](auto& x) { return x - one(x); }},
      {"Rsub", [](auto& x) { return at::rsub(x, 1); }},
      {"Mul", [](auto& x) { return 2 * x; }},
      {"Div", [](auto& x) { return x / 2; }},
      {"Neg", [](auto& x) { return -x; }},
      {"Pow", [](auto& x) { return x.pow(2); }},
      {"Sqrt", [](auto& x) { return x.sqrt(); }},
      {"Rsqrt", [](auto& x) { return x.rsqrt(); }},
      {"Exp", [](auto& x) { return x.exp(); }},
      {"Log", [](auto& x) { return x.log(); }},
      {"Log1P", [](auto& x) { return x.log1p(); }},
      {"Expm1", [](auto& x) { return x.expm1(); }},
      {"Sigmoid", [](auto& x) { return x.sigmoid(); }},
      {"Reciprocal", [](auto& x) { return x.reciprocal(); }},
      {"Clamp", [](auto& x) { return x.clamp(-1, 1); }},
      {"Softplus", [](auto& x) { return at::softplus(x); }},
      {"Tanh", [](auto& x) { return x.tanh(); }},
      {"Cosh", [](auto& x) { return x.cosh(); }},
      {"LogSigmoid", [](auto& x) { return at::log_sigmoid(x); }},
      {"ClampMin", [](auto& x) { return x.clamp_min(0); }},
      {"ClampMax", [](auto& x) { return x.clamp_max(0); }},
      {"Relu", [](auto& x) { return x.relu(); }},
      {"Maximum", [=](auto& x) { return at::maximum(x, one(x)); }},
      {"Minimum", [=](auto& x) { return at::minimum(x, one(x)); }},
      {"Where", [=](auto& x) { return at::where(x > 0, x, one(x)); }},
      {"MaskedFill", [](auto& x) { return x.masked_fill(x > 0, 0); }},
      {"Cat",
       [](auto& x) {
         return at::cat({x, x});
       }},
      {"Stack",
       [](auto& x) {
         return at::stack({x, x});
       }},
      {"HuberLoss", [=](auto& x) { return at::huber_loss(x, one(x)); }},
      {"SmoothL1Loss", [=](auto& x) { return at::smooth_l1_loss(x, one(x)); }},
      {"MseLoss", [=](auto& x) { return at::mse_loss(x, one(x)); }},
      {"Sum", [](auto& x) { return x.sum(); }},
      {"Mean", [](auto& x) { return x.mean(); }},
      {"Norm", [](auto& x) { return x.norm(); }},
      {"LinalgVectorNorm", [](auto& x) { return at::linalg_vector_norm(x); }},
      {"Logsumexp", [](auto& x) { return x.logsumexp(1); }},
      {"Var", [](auto& x) { return x.var(); }},
      {"Std", [](auto& x) { return x.std(); }},
      {"Amax", [](auto& x) { return x.amax(); }},
      {"Max", [](auto& x) { return x.max(); }},
      {"Amin", [](auto& x) { return x.amin(); }},
      {"Dot", [](auto& x) { return x.select(0, 0).dot(x.select(0, 1)); }},
      {"Diagonal", [](auto& x) { return x.diagonal(); }},
  };
  return ops;
}

TEST(NamesContract, NodesAreNamedAfterTheirOps) {
  for (const auto& [name, op] : named_ops()) {
    const auto result = op(z());
    EXPECT_EQ(op_name(node_of(result)), name) << mend("op_names.cpp");
  }
}

TEST(NamesContract, EveryNameInTheTablesIsSomeOps) {
  std::set<std::string> known;
  for (const auto& [name, op] : named_ops()) known.insert(name);
  for (const auto* table : {&view_ops(), &gather_ops(), &elementwise_ops(), &reduction_ops()}) {
    for (const auto& name : *table) {
      EXPECT_TRUE(known.contains(name)) << name << ": add its op to named_ops() in this file.";
    }
  }
}

TEST(NamesContract, LossesWithoutAReaderAreAdvisedByTheirNodes) {
  const auto signs = y().round() * 2 - 1;
  const auto log_p = z().log_softmax(1).unsqueeze(1);  // [T, N, C]
  const auto ctc = at::ctc_loss(log_p, torch::ones({1, 2}, torch::kLong), torch::tensor({4}),
                                torch::tensor({2}), 0, at::Reduction::None);
  for (const auto& loss :
       {at::soft_margin_loss(z(), signs), at::multi_margin_loss(z(), classes()),
        at::multilabel_margin_loss(z(), torch::zeros({4, 3}, torch::kLong)), ctc}) {
    EXPECT_FALSE(loss_without_reader(node_of(loss)).empty())
        << node_of(loss).name() << mend("ways_out.cpp (kLosses)");
  }
}

TEST(NamesContract, PathsOfUnreadLossesAreAdvisedByTheirNodes) {
  const auto p = z().sigmoid();
  const std::vector<Tensor> losses = {at::binary_cross_entropy(p.clamp(0.1, 0.9), y()),
                                      F::nll_loss(z().tanh(), classes()),
                                      (z().softmax(1) + 0.1).log(),
                                      (p + 0.1).log(),
                                      p.clamp(0.1, 0.9).log(),
                                      p.clamp_min(0.1).log(),
                                      z().softmax(1),
                                      at::softplus(z(), 2),
                                      z().norm(),
                                      at::cdist(z(), y()),
                                      at::maximum(z(), y()),
                                      z().relu(),
                                      z().clamp_min(0)};
  for (const auto& loss : losses) {
    std::string path;  // of the first edges that lead on, the last one first where it does
    for (Node* node = &node_of(loss);;) {
      path += node->name();
      Node* below = nullptr;
      for (const auto& edge : node->next_edges()) {
        if (edge.is_valid()) below = edge.function.get();
      }
      if (!below) break;
      path += " -> ";
      node = below;
    }
    EXPECT_NE(way_out_of(path), "") << path << mend("ways_out.cpp (kPaths)");
  }
}

TEST(NamesContract, AScriptedFunctionHidesItsOpsFromItsSecondCallOn) {
  const auto unit = torch::jit::compile("def f(x, w):\n  return torch.tanh(torch.mm(x, w)) * 2\n");
  const auto x = randn({5, 4}, 31), w = variable({4, 3}, 32);
  Tensor s;
  for (int call = 0; call < 4; ++call) s = unit->run_method("f", x, w).toTensor();
  EXPECT_EQ(op_of(node_of(s)), Op::Other)
      << "scripted modules no longer hide their ops (" << node_of(s).name()
      << "): layers are found there now, and csrc/libtorch/degradations.h says otherwise.";
}

}  // namespace
}  // namespace natgrad::testing::names_contract_test
