// The engine, edges, hooks, texts of errors, and functorch.
#include <functional>
#include <string>

#include "graph/backward.h"
#include "graph/census.h"
#include "libtorch/contract.h"
#include "libtorch/engine.h"
#include "libtorch/errors.h"
#include "libtorch/functorch.h"
#include "libtorch/hooks.h"
#include "libtorch/out_of_memory.h"

namespace natgrad::testing::engine_contract_test {
namespace {

// Products of a few numbers in double.
constexpr double kRounding = 1e-14;

// ---- Edges, engine, order ----

const std::string kEdges = mend("edges.cpp"), kEngine = mend("engine.cpp");

TEST(EdgesContract, AnEdgeKeepsItsNodeAndKnowsTheTensor) {
  Edge edge;
  {
    const auto s = z().to(torch::kFloat).mm(torch::ones({3, 2}));
    edge = result_of(node_of(s));
    EXPECT_TRUE(leads_to(edge, s)) << kEdges;
  }
  EXPECT_EQ(shape_at(edge), at::IntArrayRef({4, 2})) << kEdges;
  EXPECT_EQ(options_at(edge).dtype(), torch::kFloat) << kEdges;
}

TEST(EdgesContract, NodesComeAfterAllThatLieBelow) {
  const auto a = z().exp(), b = a.tanh(), c = b + z();
  EXPECT_TRUE(is_lower(node_of(a), node_of(b)) && is_lower(node_of(b), node_of(c))) << kEdges;
  EXPECT_FALSE(is_lower(node_of(c), node_of(a))) << kEdges;
  EXPECT_TRUE(is_lower(node_of(z()), node_of(a))) << kEdges;
}

TEST(EdgesContract, NodesKnowWhichWasMadeFirst) {
  const auto a = z().exp(), b = z().tanh();
  EXPECT_TRUE(is_earlier(node_of(a), node_of(b))) << kEdges;
  EXPECT_FALSE(is_earlier(node_of(b), node_of(a))) << kEdges;
}

TEST(EngineContract, CapturesGradientsInsideTheGraphAndLeavesItAsItWas) {
  const auto x = variable({4}, 41), unrelated = variable({2}, 42);
  const auto a = x.square(), b = a.exp();
  const auto u = randn({4}, 43);
  const torch::autograd::edge_list inputs = {edge_of(a), edge_of(x), edge_of(unrelated)};
  for (int run = 0; run < 2; ++run) {
    const auto arrived = run_engine({edge_of(b)}, {u}, inputs, false);
    EXPECT_LT(relative_error(arrived[0], u * b.detach()), kRounding) << kEngine;
    EXPECT_LT(relative_error(arrived[1], u * b.detach() * 2 * x.detach()), kRounding) << kEngine;
    EXPECT_FALSE(arrived[2].defined()) << kEngine;
    EXPECT_FALSE(arrived[1].requires_grad()) << kEngine;
  }
  EXPECT_FALSE(x.grad().defined()) << ".grad was written to." << kEngine;
}

TEST(EngineContract, ADifferentiableRunIsLinearInWhatItWasGiven) {
  const auto x = variable({4}, 44), u = variable({4}, 45), v = randn({4}, 46);
  const auto pulled = run_engine({edge_of(x.exp())}, {u}, {edge_of(x)}, true)[0];
  ASSERT_TRUE(pulled.requires_grad()) << kEngine;
  const auto pushed = run_engine({edge_of(pulled)}, {v}, {edge_of(u)}, false)[0];
  EXPECT_LT(relative_error(pushed, x.detach().exp() * v), kRounding) << kEngine;
}

// ---- Hooks ----

const std::string kHooks = mend("hooks.cpp: hooks are kept elsewhere");

TEST(HooksContract, ATensorsHookIsFoundUntilItIsRemoved) {
  for (const bool on_leaf : {true, false}) {
    const auto x = variable({4}, 51), s = x.exp();
    const auto& hooked = on_leaf ? x : s;
    const auto handle = hooked.register_hook([](Tensor gradient) { return 2 * gradient; });
    EXPECT_ANY_THROW(check_hooks(Census({edge_of(s.sum())}).nodes)) << kHooks;
    hooked.remove_hook(handle);
    EXPECT_NO_THROW(check_hooks(Census({edge_of(s.sum())}).nodes))
        << "a removed hook counts as one." << kHooks;
  }
}

TEST(HooksContract, RetainGradCanBeKeptOut) {
  const auto x = variable({4}, 52), s = x.exp();
  s.retain_grad();
  const auto loss = s.sum();
  keep_retain_grad_out(Census({edge_of(loss)}).nodes);
  backward({edge_of(loss)}, {torch::ones({}, torch::kDouble)}, {edge_of(x)});
  EXPECT_FALSE(s.grad().defined()) << kHooks;
  loss.backward();
  EXPECT_TRUE(s.grad().defined()) << kHooks;
}

// ---- Texts of errors ----

GraphError error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const c10::Error& error) {
    return kind_of(error);
  }
  ADD_FAILURE() << "LibTorch threw nothing.";
  return GraphError::Other;
}

TEST(ErrorsContract, AFreedGraphIsTold) {
  const auto loss = z().exp().sum();
  loss.backward();
  EXPECT_EQ(error_of([&] { loss.backward(); }), GraphError::Freed) << mend("errors.cpp");
  const auto p = z().softmax(1);
  p.sum().backward();
  EXPECT_EQ(error_of([&] { saved_softmax(node_of(p)); }), GraphError::Freed) << mend("errors.cpp");
}

TEST(ErrorsContract, AChangeInPlaceIsTold) {
  auto s = z().exp();
  const auto loss = s.sum();
  s.detach().zero_();
  EXPECT_EQ(error_of([&] { loss.backward(); }), GraphError::ChangedInPlace) << mend("errors.cpp");
}

// Of ctc_loss; that of cdist exists since 2.14.
TEST(ErrorsContract, AMissingSecondDerivativeIsTold) {
  const auto x = variable({4, 1, 3}, 61);
  const auto loss = at::ctc_loss(x.log_softmax(2), torch::ones({1, 2}, torch::kLong),
                                 torch::tensor({4}), torch::tensor({2}));
  const auto gradient = torch::autograd::grad({loss}, {x}, {}, true, true)[0];
  EXPECT_EQ(error_of([&] { gradient.square().sum().backward(); }), GraphError::NotDifferentiable)
      << mend("errors.cpp");
}

// More than a process can address.
TEST(ErrorsContract, MemoryThatHasRunOutIsTold) {
  try {
    torch::empty({int64_t{1} << 50}, torch::kDouble);
    ADD_FAILURE() << "eight petabytes were allocated";
  } catch (const c10::Error& error) {
    EXPECT_TRUE(is_out_of_memory(error)) << mend("out_of_memory.h");
  }
}

TEST(ErrorsContract, OtherErrorsAreNone) {
  EXPECT_EQ(error_of([] { z().mm(z()); }), GraphError::Other) << mend("errors.cpp");
}

// ---- functorch ----

const std::string kFunctorch = mend("functorch.cpp");

struct FunctorchContract : ::testing::Test {
  const Tensor batch = randn({5, 4}, 71);
};

TEST_F(FunctorchContract, ATensorStandsForItsSlices) {
  const VmapLevel level(5);
  const auto slice = level.enter(batch);
  EXPECT_TRUE(is_batched(slice)) << kFunctorch;
  EXPECT_FALSE(is_batched(batch)) << kFunctorch;
  EXPECT_EQ(slice.sizes(), at::IntArrayRef({4})) << kFunctorch;
  EXPECT_TRUE(identical(batch_values(slice.exp()), batch.exp())) << kFunctorch;
  EXPECT_EQ(batch_values(batch).sizes(), at::IntArrayRef({1, 5, 4})) << kFunctorch;
}

TEST_F(FunctorchContract, ValuesHaveTheSlicesInFrontWhereverAnOpPutThem) {
  const auto matrix = randn({3, 4}, 72);
  const VmapLevel level(5);
  const auto slice = level.enter(batch);
  const auto product = matrix.mm(slice.unsqueeze(1)).squeeze(1);
  EXPECT_EQ(batch_values(product).sizes(), at::IntArrayRef({5, 3})) << kFunctorch;
}

TEST_F(FunctorchContract, ABackwardPassRunsForAllSlicesAtOnce) {
  const auto x = variable({4}, 73), s = x.exp();
  Tensor values;
  {
    const VmapLevel level(5);
    values = batch_values(run_engine({edge_of(s)}, {level.enter(batch)}, {edge_of(x)}, false)[0]);
  }
  EXPECT_LT(relative_error(values, batch * s.detach()), kRounding) << kFunctorch;
}

TEST_F(FunctorchContract, LevelsNestAndLeaveNothingBehind) {
  {
    const VmapLevel outer(5);
    const auto slice = outer.enter(batch);
    {
      const VmapLevel inner(4);
      EXPECT_EQ(inner.enter(slice).dim(), 0) << kFunctorch;
    }
    EXPECT_EQ((slice + 1).dim(), 1) << kFunctorch;
  }
  EXPECT_FALSE(is_batched(batch + 1)) << kFunctorch;
  EXPECT_NO_THROW((batch + 1).sum().item<double>()) << kFunctorch;
}

TEST_F(FunctorchContract, AFunctionThatReadsValuesThrows) {
  const VmapLevel level(5);
  const auto slice = level.enter(batch);
  EXPECT_THROW(slice.sum().item<double>(), c10::Error) << kFunctorch;
}

}  // namespace
}  // namespace natgrad::testing::engine_contract_test
