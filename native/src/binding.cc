// The addon's face (native/index.d.ts): JavaScript values in and out, nothing computed. Entry functions read arguments
// on the event loop; the work runs on the session's thread and sees no V8; results return through a thread-safe function.
// JavaScript has validated what it passes; only what would be unsafe in memory is checked again here.
#include <napi.h>

#include <memory>

#include "session_thread.h"
#include "trainer.h"

namespace residual {
namespace {

// ---- Arguments ----------------------------------------------------------------------------------------------------

int64_t integer(const Napi::Object& object, const char* key, int64_t otherwise) {
  const Napi::Value value = object.Get(key);
  return value.IsNumber() ? value.As<Napi::Number>().Int64Value() : otherwise;
}
double number(const Napi::Object& object, const char* key, double otherwise) {
  const Napi::Value value = object.Get(key);
  return value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : otherwise;
}
bool boolean(const Napi::Object& object, const char* key) { return object.Get(key).ToBoolean().Value(); }
std::string string(const Napi::Object& object, const char* key) { return object.Get(key).ToString().Utf8Value(); }

Napi::Array array(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  if (!value.IsArray()) throw Napi::TypeError::New(object.Env(), std::string(key) + " must be an array");
  return value.As<Napi::Array>();
}
Napi::Object object(const Napi::Value& value, const char* what) {
  if (!value.IsObject()) throw Napi::TypeError::New(value.Env(), std::string(what) + " must be an object");
  return value.As<Napi::Object>();
}

template <class T, class Read>
std::vector<T> list(const Napi::Array& values, Read read) {
  std::vector<T> result;
  for (uint32_t i = 0; i < values.Length(); ++i) result.push_back(read(values.Get(i)));
  return result;
}

std::vector<int64_t> sizes(const Napi::Array& values) {
  return list<int64_t>(values, [](const Napi::Value& v) { return v.ToNumber().Int64Value(); });
}

Shape shape(const Napi::Object& owner, const char* key) {
  const std::vector<int64_t> values = sizes(array(owner, key));
  if (values.size() != 3) throw Napi::TypeError::New(owner.Env(), std::string(key) + " must be [C, H, W]");
  return {values[0], values[1], values[2]};
}

TensorRole role(const Napi::Env& env, const std::string& name) {
  static const std::map<std::string, TensorRole> roles{
      {"weight", TensorRole::Weight}, {"bias", TensorRole::Bias},
      {"scale", TensorRole::Scale},   {"shift", TensorRole::Shift},
      {"runningMean", TensorRole::RunningMean}, {"runningVariance", TensorRole::RunningVariance}};
  const auto found = roles.find(name);
  if (found == roles.end()) throw Napi::TypeError::New(env, "no such tensor role: " + name);
  return found->second;
}

TensorSpec tensorSpec(const Napi::Value& value) {
  const Napi::Object spec = object(value, "a tensor");
  return {string(spec, "name"), role(spec.Env(), string(spec, "role")), sizes(array(spec, "shape"))};
}

Node node(const Napi::Value& value) {
  const Napi::Object from = object(value, "a node");
  Node node;
  node.name = string(from, "name");
  node.kind = string(from, "kind");
  node.inputs = list<std::string>(array(from, "inputs"), [](const Napi::Value& v) { return v.ToString().Utf8Value(); });
  node.outputShape = shape(from, "outputShape");
  node.tensors = list<TensorSpec>(array(from, "tensors"), tensorSpec);
  node.kernel = integer(from, "kernel", node.kernel);
  node.stride = integer(from, "stride", node.stride);
  node.padding = integer(from, "padding", node.padding);
  node.groups = integer(from, "groups", node.groups);
  node.addedChannels = integer(from, "addedChannels", node.addedChannels);
  node.bias = boolean(from, "bias");
  node.ceilMode = boolean(from, "ceilMode");
  node.epsilon = number(from, "epsilon", node.epsilon);
  node.momentum = number(from, "momentum", node.momentum);
  node.rate = number(from, "rate", node.rate);
  return node;
}

Graph graph(const Napi::Object& from) {
  return {shape(from, "inputShape"), integer(from, "numClasses", 0), list<Node>(array(from, "nodes"), node),
          string(from, "output")};
}

OptimizerOptions optimizer(const Napi::Object& from) {
  static const std::map<std::string, OptimizerKind> kinds{
      {"SGD", OptimizerKind::Sgd}, {"ADAM", OptimizerKind::Adam}, {"ADAMW", OptimizerKind::AdamW}};
  const auto kind = kinds.find(string(from, "kind"));
  if (kind == kinds.end()) throw Napi::TypeError::New(from.Env(), "no such optimizer: " + string(from, "kind"));
  return {kind->second,
          number(from, "momentum", 0),
          boolean(from, "nesterov"),
          number(from, "weightDecay", 0),
          number(from, "beta1", 0.9),
          number(from, "beta2", 0.999),
          number(from, "epsilon", 1e-8),
          number(from, "clipNorm", 0)};
}

TrainerOptions trainerOptions(const Napi::Object& from) {
  return {integer(from, "batchSize", 0),
          string(from, "precision") == "BFLOAT16" ? DataType::BFloat16 : DataType::Float32,
          optimizer(object(from.Get("optimizer"), "optimizer")), number(from, "labelSmoothing", 0),
          static_cast<int>(integer(from, "threads", 1)), static_cast<uint32_t>(integer(from, "seed", 0)),
          number(from, "emaDecay", 0)};
}

/// Typed arrays that the session's thread reads in place; JavaScript keeps them alive and unchanged until then.
class Borrowed {
 public:
  template <class T>
  const T* take(const Napi::Value& value, napi_typedarray_type type, size_t elements, const char* what) {
    if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type)
      throw Napi::TypeError::New(value.Env(), std::string(what) + " has the wrong type of array");
    const auto array = value.As<Napi::TypedArrayOf<T>>();
    if (array.ElementLength() != elements)
      throw Napi::RangeError::New(value.Env(), std::string(what) + " has " + std::to_string(array.ElementLength()) +
                                                   " elements, not " + std::to_string(elements));
    kept_.push_back(Napi::Persistent(value.As<Napi::Object>()));
    return array.Data();
  }

  using Tensors = std::vector<std::tuple<std::string, const float*, size_t>>;
  /// `value`: an object of Float32Arrays.
  Tensors takeTensors(const Napi::Value& value) {
    const Napi::Object tensors = object(value, "tensors");
    Tensors taken;
    const Napi::Array names = tensors.GetPropertyNames();
    for (uint32_t i = 0; i < names.Length(); ++i) {
      const Napi::Value name = names.Get(i), tensor = tensors.Get(name);
      const size_t elements = tensor.IsTypedArray() ? tensor.As<Napi::TypedArray>().ElementLength() : 0;
      const std::string text = name.ToString().Utf8Value();
      taken.emplace_back(text, take<float>(tensor, napi_float32_array, elements, text.c_str()), elements);
    }
    return taken;
  }

 private:
  std::vector<Napi::ObjectReference> kept_;
};

TensorMap copyTensors(const Borrowed::Tensors& tensors) {
  TensorMap map;
  for (const auto& [name, data, elements] : tensors) map[name].assign(data, data + elements);
  return map;
}

// ---- Results ------------------------------------------------------------------------------------------------------

/// Hands the vector's own memory to JavaScript.
Napi::Value float32Array(Napi::Env env, std::vector<float> values) {
  auto* const owned = new std::vector<float>(std::move(values));
  const size_t elements = owned->size();
  const auto buffer = Napi::ArrayBuffer::New(env, owned->data(), elements * sizeof(float),
                                             [](Napi::Env, void*, std::vector<float>* vector) { delete vector; }, owned);
  return Napi::Float32Array::New(env, elements, buffer, 0);
}

Napi::Value tensorObject(Napi::Env env, TensorMap tensors) {
  Napi::Object result = Napi::Object::New(env);
  for (auto& [name, values] : tensors) result.Set(name, float32Array(env, std::move(values)));
  return result;
}

/// One call on its way to the session's thread and back.
struct Call {
  explicit Call(Napi::Env env) : promise(Napi::Promise::Deferred::New(env)) {}
  Napi::Promise::Deferred promise;
  Borrowed borrowed;
  std::function<void()> work;                   // on the session's thread
  std::function<Napi::Value(Napi::Env)> result; // on the event loop, after `work`
  std::string error, code;

  void run() {
    try {
      work();
    } catch (const MemoryError& failure) {
      error = failure.what();
      code = "RESOURCE";
    } catch (const std::bad_alloc&) {
      error = "out of memory";
      code = "RESOURCE";
    } catch (const std::invalid_argument& failure) {
      error = failure.what();
      code = "ARGUMENT";
    } catch (const std::exception& failure) {
      error = failure.what();
      code = "FAILURE";
    }
  }

  void settle(Napi::Env env) {
    if (code.empty()) return promise.Resolve(result ? result(env) : env.Undefined());
    Napi::Error rejection = Napi::Error::New(env, error);
    rejection.Set("code", Napi::String::New(env, code));
    promise.Reject(rejection.Value());
  }
};

// ---- Session ------------------------------------------------------------------------------------------------------

class Session final : public Napi::ObjectWrap<Session> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Session",
                       {InstanceMethod<&Session::open>("open"), InstanceMethod<&Session::step>("step"),
                        InstanceMethod<&Session::evaluate>("evaluate"), InstanceMethod<&Session::tensors>("tensors"),
                        InstanceMethod<&Session::optimizerState>("optimizerState"),
                        InstanceMethod<&Session::averages>("averages"),
                        InstanceMethod<&Session::gradients>("gradients"), InstanceMethod<&Session::restore>("restore"),
                        InstanceMethod<&Session::close>("close")});
  }

  explicit Session(const Napi::CallbackInfo& info)
      : ObjectWrap(info), thread_(std::make_unique<SessionThread>()) {
    const auto ignore = Napi::Function::New(info.Env(), [](const Napi::CallbackInfo&) {});
    toEventLoop_ = Napi::ThreadSafeFunction::New(info.Env(), ignore, "residual session", 0, 1);
    toEventLoop_.Unref(info.Env());  // an idle session keeps no process alive
    // A process that exits while a step runs must wait for it: the step uses what static destructors take away.
    exitHook_ = info.Env().AddCleanupHook(&Session::atExit, this);
  }

  ~Session() override {
    if (!exitHook_.IsEmpty()) exitHook_.Remove(Env());
    endThread();
  }

 private:
  Napi::Value open(const Napi::CallbackInfo& info) {
    auto call = std::make_shared<Call>(info.Env());
    auto description = std::make_shared<Graph>(graph(object(info[0], "graph")));
    const auto initial = call->borrowed.takeTensors(info[1]);
    const TrainerOptions options = trainerOptions(object(info[2], "options"));
    imageElements_ = description->inputShape[0] * description->inputShape[1] * description->inputShape[2];
    classes_ = description->numClasses;
    // By the time that the event loop takes the answer, a close that was asked for behind it may have been done.
    const auto bytes = std::make_shared<double>();
    call->work = [this, description, initial, options, bytes] {
      trainer_ = std::make_unique<Trainer>(*description, copyTensors(initial), options);
      *bytes = trainer_->plannedBytes();
    };
    call->result = [bytes](Napi::Env env) { return Napi::Number::New(env, *bytes); };
    return start(info.Env(), call);
  }

  Napi::Value step(const Napi::CallbackInfo& info) {
    auto call = std::make_shared<Call>(info.Env());
    const int64_t size = info[2].ToNumber().Int64Value();
    const float* images = takeImages(*call, info[0], size);
    const double learningRate = info[3].ToNumber().DoubleValue();
    const bool mixed = !info[4].IsUndefined();
    const Targets targets{takeLabels(*call, info[1], size), mixed ? takeLabels(*call, info[4], size) : nullptr,
                          mixed ? call->borrowed.take<float>(info[5], napi_float32_array, size, "shares") : nullptr};
    auto outcome = std::make_shared<LossResult>();
    call->work = [this, images, targets, size, learningRate, outcome] {
      *outcome = trainer().step(images, targets, size, learningRate);
    };
    call->result = [outcome](Napi::Env env) -> Napi::Value {
      Napi::Object result = Napi::Object::New(env);
      result.Set("loss", outcome->loss);
      result.Set("correct", static_cast<double>(outcome->correct));
      return result;
    };
    return start(info.Env(), call);
  }

  Napi::Value evaluate(const Napi::CallbackInfo& info) {
    auto call = std::make_shared<Call>(info.Env());
    const int64_t size = info[1].ToNumber().Int64Value();
    const float* images = takeImages(*call, info[0], size);
    auto logits = std::make_shared<std::vector<float>>();
    call->work = [this, images, size, logits] {
      logits->resize(size * classes_);
      trainer().evaluate(images, size, logits->data());
    };
    call->result = [logits](Napi::Env env) { return float32Array(env, std::move(*logits)); };
    return start(info.Env(), call);
  }

  Napi::Value tensors(const Napi::CallbackInfo& info) { return read(info, &Trainer::tensors); }
  Napi::Value optimizerState(const Napi::CallbackInfo& info) { return read(info, &Trainer::optimizerState); }
  Napi::Value averages(const Napi::CallbackInfo& info) { return read(info, &Trainer::averages); }
  Napi::Value gradients(const Napi::CallbackInfo& info) { return read(info, &Trainer::gradients); }

  Napi::Value restore(const Napi::CallbackInfo& info) {
    auto call = std::make_shared<Call>(info.Env());
    const auto tensors = call->borrowed.takeTensors(info[0]), state = call->borrowed.takeTensors(info[1]);
    const auto averages = info[2].IsUndefined() ? Borrowed::Tensors{} : call->borrowed.takeTensors(info[2]);
    call->work = [this, tensors, state, averages] {
      trainer().restore(copyTensors(tensors), copyTensors(state), copyTensors(averages));
    };
    return start(info.Env(), call);
  }

  Napi::Value close(const Napi::CallbackInfo& info) {
    auto call = std::make_shared<Call>(info.Env());
    call->work = [this] { trainer_.reset(); };
    call->result = [this](Napi::Env env) {
      thread_->finish();
      return env.Undefined();
    };
    const Napi::Value promise = start(info.Env(), call);
    closed_ = true;
    return promise;
  }

  const float* takeImages(Call& call, const Napi::Value& value, int64_t size) {
    if (size < 1) throw Napi::RangeError::New(value.Env(), "a batch has at least one image");
    return call.borrowed.take<float>(value, napi_float32_array, size * imageElements_, "images");
  }

  const int32_t* takeLabels(Call& call, const Napi::Value& value, int64_t size) {
    const int32_t* labels = call.borrowed.take<int32_t>(value, napi_int32_array, size, "labels");
    for (int64_t i = 0; i < size; ++i)
      if (labels[i] < 0 || labels[i] >= classes_) throw Napi::RangeError::New(value.Env(), "a label is out of range");
    return labels;
  }

  Napi::Value read(const Napi::CallbackInfo& info, TensorMap (Trainer::*what)() const) {
    auto call = std::make_shared<Call>(info.Env());
    auto tensors = std::make_shared<TensorMap>();
    call->work = [this, what, tensors] { *tensors = (trainer().*what)(); };
    call->result = [tensors](Napi::Env env) { return tensorObject(env, std::move(*tensors)); };
    return start(info.Env(), call);
  }

  Trainer& trainer() {
    if (!trainer_) throw std::runtime_error("the session is not open");
    return *trainer_;
  }

  /// `call` holds references that only the event loop may release: the pointer that travels is its own.
  Napi::Value start(Napi::Env env, const std::shared_ptr<Call>& call) {
    if (closed_) throw Napi::Error::New(env, "the session is closed");
    if (++pending_ == 1) {
      toEventLoop_.Ref(env);
      Ref();
    }
    auto* const travelling = new std::shared_ptr<Call>(call);
    thread_->post([this, travelling] {
      (*travelling)->run();
      toEventLoop_.NonBlockingCall(travelling, [this](Napi::Env env, Napi::Function, std::shared_ptr<Call>* arrived) {
        const std::unique_ptr<std::shared_ptr<Call>> call(arrived);
        (*call)->settle(env);
        if (--pending_ > 0) return;
        toEventLoop_.Unref(env);
        Unref();
      });
    });
    return call->promise.Promise();
  }

  static void atExit(Session* session) {
    session->exitHook_ = {};  // has freed itself: nothing is left to remove
    session->endThread();
  }

  void endThread() {
    if (!thread_) return;
    thread_->post([this] { trainer_.reset(); });
    thread_->finish();
    thread_.reset();
    toEventLoop_.Release();
  }

  std::unique_ptr<Trainer> trainer_;  // made, used and destroyed on the session's thread
  int64_t imageElements_ = 0, classes_ = 0;
  int pending_ = 0;
  bool closed_ = false;
  Napi::ThreadSafeFunction toEventLoop_;
  Napi::Env::CleanupHook<void (*)(Session*), Session> exitHook_;
  std::unique_ptr<SessionThread> thread_;  // last, since its tasks use the others
};

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  exports.Set("Session", Session::define(env));
  exports.Set("isa", effectiveIsa());
  exports.Set("oneDnnVersion", oneDnnVersion());
  exports.Set("nativeBFloat16", hasNativeBFloat16());
  return exports;
}

}  // namespace
}  // namespace residual

Napi::Object Initialise(Napi::Env env, Napi::Object exports) { return residual::initialise(env, exports); }
NODE_API_MODULE(residual, Initialise)
