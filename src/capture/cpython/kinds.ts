/**
 * What is known of the types of CPython and its standard library that are written in C: which visitor reads them, and which fields hold
 * references. A field `x=y` is shown as the attribute `.y`, a plain `x` as a field of the C structure; fields that a version lacks are
 * left out; `@16=x` gives an offset that no version moved. `__dict__` and weak references follow from the type itself (types.ts). Layouts: layouts.json; which fields count a
 * reference: each type's tp_traverse and tp_dealloc.
 */

export const Visit = {
  /** fields only */
  plain: 0,
  nothing: 1,
  list: 2,
  tuple: 3,
  dict: 4,
  odict: 5,
  set: 6,
  str: 7,
  type: 8,
  code: 9,
  function: 10,
  frame: 11,
  generator: 12,
  module: 13,
  ndarray: 14,
  array: 15,
  bytearray: 16,
  memoryview: 17,
  mmap: 18,
  lruCache: 19,
  deque: 20,
  varItems: 21,
  buffered: 22,
  stringio: 23,
  bytes: 24,
  hamtArray: 25,
  simpleQueue: 26,
} as const;
export type Visit = (typeof Visit)[keyof typeof Visit];

export interface Kind {
  visit: Visit;
  struct: string;
  fields: string;
}

const EXCEPTION = "args=args notes=__notes__ traceback=__traceback__ context=__context__ cause=__cause__";
const FUTURE =
  "loop callback0 context0 callbacks exception exception_tb result source_tb cancel_msg cancelled_exc awaited_by fut_waiter coro name context";

/** By the name that the type gives itself (tp_name). */
export const KINDS: Readonly<Record<string, readonly [visit: Visit, struct: string, fields?: string]>> = {
  object: [Visit.plain, "PyObject"],
  int: [Visit.nothing, "PyLongObject"],
  bool: [Visit.nothing, "PyLongObject"],
  float: [Visit.nothing, "PyFloatObject"],
  complex: [Visit.nothing, "PyComplexObject"],
  NoneType: [Visit.nothing, "PyObject"],
  NotImplementedType: [Visit.nothing, "PyObject"],
  ellipsis: [Visit.nothing, "PyObject"],
  str: [Visit.str, "PyUnicodeObject"],
  bytes: [Visit.bytes, "PyBytesObject"],
  list: [Visit.list, "PyListObject"],
  tuple: [Visit.tuple, "PyTupleObject"],
  dict: [Visit.dict, "PyDictObject"],
  frozendict: [Visit.dict, "PyFrozenDictObject"],
  "collections.OrderedDict": [Visit.odict, "PyODictObject"],
  "collections.defaultdict": [Visit.dict, "defdictobject", "default_factory=default_factory"],
  set: [Visit.set, "PySetObject"],
  frozenset: [Visit.set, "PySetObject"],
  type: [Visit.type, "PyHeapTypeObject"],
  code: [Visit.code, "PyCodeObject"],
  function: [
    Visit.function,
    "PyFunctionObject",
    "func_globals=__globals__ func_builtins=__builtins__ func_name=__name__ func_qualname=__qualname__ func_code=__code__ func_defaults=__defaults__ func_kwdefaults=__kwdefaults__ func_closure=__closure__ func_doc=__doc__ func_module=__module__ func_annotations=__annotations__ func_annotate=__annotate__ func_typeparams=__type_params__",
  ],
  frame: [Visit.frame, "PyFrameObject"],
  generator: [Visit.generator, "PyGenObject"],
  coroutine: [Visit.generator, "PyCoroObject"],
  async_generator: [Visit.generator, "PyAsyncGenObject"],
  module: [Visit.module, "PyModuleObject", "md_name=__name__"],
  method: [Visit.plain, "PyMethodObject", "im_func=__func__ im_self=__self__"],
  instancemethod: [Visit.plain, "PyInstanceMethodObject", "func=__func__"],
  builtin_function_or_method: [Visit.plain, "PyCFunctionObject", "m_self=__self__ m_module=__module__"],
  builtin_method: [Visit.plain, "PyCMethodObject", "@24=__self__ @32=__module__ @56=mm_class"],
  cell: [Visit.plain, "PyCellObject", "ob_ref=cell_contents"],
  slice: [Visit.plain, "PySliceObject", "start=start stop=stop step=step"],
  range: [Visit.plain, "rangeobject", "start=start stop=stop step=step length"],
  mappingproxy: [Visit.plain, "mappingproxyobject", "mapping"],
  property: [
    Visit.plain,
    "propertyobject",
    "prop_get=fget prop_set=fset prop_del=fdel prop_doc=__doc__ prop_name=__name__",
  ],
  classmethod: [Visit.plain, "classmethod", "cm_callable=__func__"],
  staticmethod: [Visit.plain, "staticmethod", "sm_callable=__func__"],
  super: [Visit.plain, "superobject", "type=__thisclass__ obj=__self__ obj_type=__self_class__"],
  weakref: [Visit.plain, "PyWeakReference", "wr_callback=__callback__"],
  "weakref.ReferenceType": [Visit.plain, "PyWeakReference", "wr_callback=__callback__"],
  weakproxy: [Visit.plain, "PyWeakReference", "wr_callback=__callback__"],
  weakcallableproxy: [Visit.plain, "PyWeakReference", "wr_callback=__callback__"],
  "weakref.ProxyType": [Visit.plain, "PyWeakReference", "wr_callback=__callback__"],
  "weakref.CallableProxyType": [Visit.plain, "PyWeakReference", "wr_callback=__callback__"],
  traceback: [Visit.plain, "PyTracebackObject", "tb_next=tb_next tb_frame=tb_frame"],
  member_descriptor: [Visit.plain, "PyDescrObject", "d_type=__objclass__ d_name=__name__ d_qualname=__qualname__"],
  getset_descriptor: [Visit.plain, "PyDescrObject", "d_type=__objclass__ d_name=__name__ d_qualname=__qualname__"],
  method_descriptor: [Visit.plain, "PyDescrObject", "d_type=__objclass__ d_name=__name__ d_qualname=__qualname__"],
  classmethod_descriptor: [Visit.plain, "PyDescrObject", "d_type=__objclass__ d_name=__name__ d_qualname=__qualname__"],
  wrapper_descriptor: [Visit.plain, "PyDescrObject", "d_type=__objclass__ d_name=__name__ d_qualname=__qualname__"],
  "method-wrapper": [Visit.plain, "wrapperobject", "descr self=__self__"],
  "types.SimpleNamespace": [Visit.plain, "_PyNamespaceObject"],
  BaseException: [Visit.plain, "PyBaseExceptionObject", EXCEPTION],
  OSError: [
    Visit.plain,
    "PyOSErrorObject",
    `${EXCEPTION} myerrno=errno strerror=strerror filename=filename filename2=filename2`,
  ],
  StopIteration: [Visit.plain, "PyStopIterationObject", `${EXCEPTION} value=value`],
  ImportError: [Visit.plain, "PyImportErrorObject", `${EXCEPTION} msg=msg name=name path=path name_from=name_from`],
  list_iterator: [Visit.plain, "listiterobject", "it_seq"],
  list_reverseiterator: [Visit.plain, "listiterobject", "it_seq"],
  tuple_iterator: [Visit.plain, "tupleiterobject", "it_seq"],
  iterator: [Visit.plain, "seqiterobject", "it_seq"],
  set_iterator: [Visit.plain, "setiterobject", "si_set"],
  enumerate: [Visit.plain, "enumobject", "en_sit en_result en_longindex one"],
  reversed: [Visit.plain, "reversedobject", "seq"],
  map: [Visit.plain, "mapobject", "iters func"],
  filter: [Visit.plain, "filterobject", "func it"],
  zip: [Visit.plain, "zipobject", "ittuple result"],
  dict_keys: [Visit.plain, "_PyDictViewObject", "dv_dict"],
  dict_values: [Visit.plain, "_PyDictViewObject", "dv_dict"],
  dict_items: [Visit.plain, "_PyDictViewObject", "dv_dict"],
  "functools.partial": [Visit.plain, "partialobject", "fn=func args=args kw=keywords placeholder"],
  "functools._lru_cache_wrapper": [
    Visit.lruCache,
    "lru_cache_object",
    "cache func=__wrapped__ kwd_mark lru_list_elem_type cache_info_type",
  ],
  "functools._lru_list_elem": [Visit.plain, "lru_list_elem", "key result"],
  "collections.deque": [Visit.deque, "dequeobject"],
  bytearray: [Visit.bytearray, "PyByteArrayObject"],
  memoryview: [Visit.memoryview, "PyMemoryViewObject"],
  managedbuffer: [Visit.plain, "_PyManagedBufferObject", "master.obj=obj"],
  "array.array": [Visit.array, "arrayobject"],
  "mmap.mmap": [Visit.mmap, "mmap_object"],
  "_io.BytesIO": [Visit.plain, "bytesio", "buf"],
  "_io.StringIO": [Visit.stringio, "stringio", "decoder readnl writenl"],
  "_io.BufferedReader": [Visit.buffered, "buffered", "raw=raw"],
  "_io.BufferedWriter": [Visit.buffered, "buffered", "raw=raw"],
  "_io.BufferedRandom": [Visit.buffered, "buffered", "raw=raw"],
  "_io.FileIO": [Visit.plain, "fileio"],
  Context: [Visit.plain, "_pycontextobject", "ctx_prev ctx_vars"],
  "_contextvars.Context": [Visit.plain, "_pycontextobject", "ctx_prev ctx_vars"],
  ContextVar: [Visit.plain, "_pycontextvarobject", "var_name=name var_default"],
  "_contextvars.ContextVar": [Visit.plain, "_pycontextvarobject", "var_name=name var_default"],
  Token: [Visit.plain, "_pycontexttokenobject", "tok_ctx tok_var=var tok_oldval=old_value"],
  "_contextvars.Token": [Visit.plain, "_pycontexttokenobject", "tok_ctx tok_var=var tok_oldval=old_value"],
  hamt: [Visit.plain, "PyHamtObject", "h_root"],
  hamt_bitmap_node: [Visit.varItems, "PyHamtNode_Bitmap", "b_array"],
  hamt_collision_node: [Visit.varItems, "PyHamtNode_Collision", "c_array"],
  hamt_array_node: [Visit.hamtArray, "PyHamtNode_Array"],
  "_asyncio.Future": [Visit.plain, "FutureObj", prefixed("fut_", FUTURE)],
  "_asyncio.Task": [Visit.plain, "TaskObj", prefixed("task_", FUTURE)],
  "itertools.chain": [Visit.plain, "chainobject", "source active"],
  "itertools.count": [Visit.plain, "countobject", "long_cnt long_step"],
  "itertools.cycle": [Visit.plain, "cycleobject", "it saved"],
  "itertools.repeat": [Visit.plain, "repeatobject", "element"],
  "itertools.islice": [Visit.plain, "isliceobject", "it"],
  "itertools._tee": [Visit.plain, "teeobject", "dataobj"],
  "itertools.starmap": [Visit.plain, "starmapobject", "func it"],
  "itertools.accumulate": [Visit.plain, "accumulateobject", "total it func binop initial"],
  "re.Pattern": [Visit.plain, "PatternObject", "groupindex indexgroup pattern=pattern"],
  "re.Match": [Visit.plain, "MatchObject", "string=string regs pattern=re"],
  "_io.TextIOWrapper": [
    Visit.plain,
    "textio",
    "buffer=buffer encoding encoder decoder readnl errors decoded_chars pending_bytes snapshot raw",
  ],
  // The dummy's dict is borrowed.
  "_thread._localdummy": [Visit.plain, "localdummyobject"],
  "_thread._local": [Visit.plain, "localobject", "key args kw dummies wr_callback localdicts thread_watchdogs"],
  "_abc._abc_data": [Visit.plain, "", "@16=_abc_registry @24=_abc_cache @32=_abc_negative_cache"],
  "types.GenericAlias": [Visit.plain, "", "@16=__origin__ @24=__args__ @32=__parameters__"],
  "numpy.ndarray": [Visit.ndarray, ""],
  "_queue.SimpleQueue": [Visit.simpleQueue, "simplequeueobject", "lst"],
};

function prefixed(prefix: string, names: string): string {
  return names
    .split(" ")
    .map((name) => `${prefix}${name}=_${name}`)
    .join(" ");
}
